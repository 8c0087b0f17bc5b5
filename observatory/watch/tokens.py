"""The tokens at the largest activations: their ids from the batch, their text by a tokenizer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from observatory.core.contracts import Masked
from observatory.core.errors import ConfigError
from observatory.core.extras import require
from observatory.watch.reading.forward import Batch, tensors_of
from observatory.watch.tables import TOKEN, Table

Decode = Callable[[list[int]], str]


def decoder_of(tokenizer: Any) -> Decode:
    """The function from ids to text: `tokenizer.decode`, or the function that was given.

    Raises:
        ConfigError: If it is neither.
    """
    decode = getattr(tokenizer, "decode", tokenizer)
    if not callable(decode):
        raise ConfigError(
            "`tokenizer` must have `decode`, or be a function from a list of ids to text, got "
            f"{type(tokenizer).__name__}."
        )
    return cast(Decode, decode)


def read_tokenizer(path: Path) -> Decode:
    """The function from ids to text of a saved tokenizer of Hugging Face; no code of it is run.

    Special tokens have their text too, such as "<s>".

    Args:
        path: A `tokenizer.json`, or the folder that holds it.

    Raises:
        ConfigError: If there is none, or it cannot be read.
        MissingExtraError: If the extra `hf` is not installed.
    """
    require("hf", by="`--tokenizer`")
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises no other class
        raise ConfigError(
            f"`--tokenizer` must be a tokenizer.json or the folder that holds it, got `{path}`: "
            f"{error}. Write one: tokenizer.save_pretrained(FOLDER)."
        ) from error

    def decode(ids: list[int]) -> str:
        if unknown := [number for number in ids if tokenizer.id_to_token(number) is None]:
            raise KeyError(*unknown)
        return tokenizer.decode(ids, skip_special_tokens=False)

    return decode


def token_ids(batch: Batch) -> dict[str, Tensor]:
    """Ids of the tokens `[batch, pos]`: under "" those of the inputs, under "decoder" a decoder's.

    Raises:
        ConfigError: If the batch holds none.

    Example:
        >>> token_ids((torch.tensor([[5, 7]]), torch.ones(1, 2)))[""].tolist()
        [[5, 7]]
    """
    named = batch if isinstance(batch, Mapping) else {}
    found = {
        stack: named[name]
        for stack, name in (("", "input_ids"), ("decoder", "decoder_input_ids"))
        if isinstance(named.get(name), Tensor)
    }
    others = {name: value for name, value in named.items() if "mask" not in name} or batch
    whole = [x for x in tensors_of(others) if x.ndim == 2 and x.dtype in (torch.int64, torch.int32)]
    if not found and not whole:
        raise ConfigError(
            "`tokenizer` needs ids of tokens in the batch, `input_ids` or a tensor of whole "
            "numbers `[batch, pos]`, and there are none. Leave it out."
        )
    return found or {"": whole[0]}


def texts_of(tables: Mapping[str, Table], decode: Decode) -> dict[int, str]:
    """Text of every token of the tables' maxima, by id.

    Raises:
        ConfigError: If the tokenizer raises or gives no text.
    """
    ids: set[int] = set()
    for table in tables.values():
        tokens = table.values.get(TOKEN.name)
        if isinstance(tokens, Masked):
            ids.update(tokens.values[tokens.defined].tolist())
    texts: dict[int, str] = {}
    for number in sorted(ids):
        try:
            text = decode([number])
        except Exception as error:
            raise ConfigError(
                f"`tokenizer` raised {error!r} of the token {number}. Give one that knows the ids "
                "of the batch."
            ) from error
        if not isinstance(text, str):
            raise ConfigError(
                f"`tokenizer` must give text, got {type(text).__name__} of the token {number}."
            )
        texts[number] = text
    return texts
