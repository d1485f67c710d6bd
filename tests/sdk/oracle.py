"""Says whether a text is exactly what one simulated upstream said in one answer.

A text is numbered words, `name.serial.1 name.serial.2 ...`, and as its last word the SHA-256 of all
before the last space. So a lost, doubled or foreign word shows, whoever carried the text.
"""

import hashlib


def speaker(text: str) -> str:
    """The name of the upstream that spoke; AssertionError when the text is not whole."""
    words, _, seal = text.rpartition(" ")
    assert len(seal) == 64, f"not sealed, so cut short: ...{text[-60:]!r}"
    assert hashlib.sha256(words.encode()).hexdigest() == seal, f"does not match its seal: {text!r}"
    tags = set()
    for at, word in enumerate(words.split(" "), 1):
        tag, _, number = word.rpartition(".")
        assert number == str(at), f"word {at} is {word!r}"
        tags.add(tag)
    assert len(tags) == 1, f"stitched together from {sorted(tags)}"
    return tags.pop().rpartition(".")[0]
