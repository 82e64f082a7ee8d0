"""Make the tokenizer: byte-pair merges learned from the lab's words alone, until every word is one token."""

from __future__ import annotations

import json
from pathlib import Path

from neurodecode.datasets.lab import captions

START, END = "<|startoftext|>", "<|endoftext|>"


def write_tokenizer(folder: Path) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json as CLIPTokenizer reads them."""
    vocabulary, merges = learn(list(captions.words()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
    config = {
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "model_max_length": captions.TOKENS,
        "tokenizer_class": "CLIPTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))


def learn(words: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Merge the commonest pair of neighbours until every word is one piece (Sennrich et al. 2016)."""
    pieces = [[*w[:-1], w[-1] + "</w>"] for w in words]
    letters = sorted({p for word in pieces for p in word})
    merges: list[tuple[str, str]] = []
    while any(len(word) > 1 for word in pieces):
        counts: dict[tuple[str, str], int] = {}
        for word in pieces:
            for pair in zip(word, word[1:], strict=False):
                counts[pair] = counts.get(pair, 0) + 1
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        pieces = [_merge(word, best) for word in pieces]
    tokens = [*letters, *("".join(m) for m in merges), START, END]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}, merges


def _merge(word: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out
