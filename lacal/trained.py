"""What a model was trained with: the record that travels in its file, and in the logits that it gives.

Training may have put the correction for the training counts into the logits; adjusting those again
over-corrects. The record is how every command knows.
"""

from typing import Annotated, Any

import msgspec

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats.shown import reason
from lacal.formats.text import refuse_unwritable, strict_json
from lacal.loss_table import Carries, Value

KEY = "training"  # in the record of how logits were made

MEANING: dict[Carries, str] = {
    "nothing": "its logits carry no correction for the training counts",
    "part": "its logits carry a part of the correction for the training counts",
    "prior": "its logits carry the whole correction for the training counts",
}

_STATES = {
    "adjusted": "a model that was adjusted otherwise",
    "output": "another output of the model",
}


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How a network was trained; fields that a newer lacal adds are passed over.

    Attributes:
        loss: Row of the loss table.
        loss_options: All of its options.
        head: Kind of the classifier's last layer.
        sampler: Which class the next example was drawn from.
        second_stage: What was trained on frozen features afterwards, or None.
        carries: What the logits hold of the correction for the training counts: nothing, a part, or all of
            it ("prior").
        network: Name of the network, or the user's own factory.
        epochs: Passes.
        lacal: The version that trained it.
        weights: sha256 of the delivered network's weights, by which files of one network know each other;
            None before there are any.
    """

    loss: str
    loss_options: dict[str, Value]
    head: str
    sampler: str
    second_stage: str | None
    carries: Carries
    network: str
    epochs: Annotated[int, msgspec.Meta(ge=0)]
    lacal: str
    weights: str | None = None

    def json(self) -> dict[str, Any]:
        """JSON values, by name."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    def text(self) -> str:
        """As JSON, for a model's file."""
        return msgspec.json.encode(self).decode()

    def meaning(self) -> str:
        """What the logits carry, for the user."""
        return MEANING[self.carries]

    def cautions(self) -> list[str]:
        """What to know before using an adjustment of its logits, a sentence each."""
        if self.carries == "nothing":
            return []
        advice = "no fixed tau is right for them, trust one that was tuned on this model's validation logits"
        if self.carries == "prior":
            advice = "they are adjusted on top of it because you say so"
        return [f"the model was trained with {self.described()}: {self.meaning()}; {advice}"]

    def described(self) -> str:
        """Loss, sampler and second stage, as far as they decide what the logits carry."""
        words = [f"the loss {shown(self.loss)}"]
        if self.sampler != "instance":
            words.append(f"the sampler {shown(self.sampler)}")
        if self.second_stage is not None:
            words.append(f"the second stage {shown(self.second_stage)}")
        return ", ".join(words)


def training_record(value: Any, place: str) -> TrainingRecord:
    """The record in JSON values from a file.

    Raises:
        DataError: It is something else.
    """
    try:
        refuse_unwritable(value)
        return msgspec.convert(value, TrainingRecord)
    except ValueError as error:
        raise _damaged(place, error) from error


def record_from_text(text: str | bytes | None, place: str) -> TrainingRecord | None:
    """The record in a model's file, where there is one.

    Raises:
        DataError: It cannot be read.
    """
    if text is None:
        return None
    try:
        value = strict_json(text if isinstance(text, str) else text.decode())
    except ValueError as error:
        raise _damaged(place, error) from error
    return training_record(value, place)


def inference_from_note(note: str | None, place: str) -> dict[str, Any] | None:
    """How some logits were made, out of the note in their file; None where nothing, or another tool, says it.

    Raises:
        DataError: The files that it travels on to could not hold it.
    """
    try:
        noted = None if note is None else strict_json(note)
    except ValueError:
        return None
    if not isinstance(noted, dict):
        return None
    try:
        refuse_unwritable(noted)
    except ValueError as error:
        raise DataError(
            f"{place}: its note of how the logits were made holds what no other file could ({reason(error)}); expected "
            "what lacal infer wrote; infer again, or remove it"
        ) from error
    return noted


def record_of_logits(inference: dict[str, Any] | None, place: str) -> TrainingRecord | None:
    """The record of the model that made some logits, where that is known.

    Args:
        inference: How they were made, as a source tells.
        place: The source, for messages.

    Raises:
        DataError: The record cannot be read.
    """
    value = None if inference is None else inference.get(KEY)
    return None if value is None else training_record(value, place)


def same_model(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records of how logits were made speak of one model: of one file, or of one network's."""
    files = [record.get("model_sha256") for record in (one, other)]
    weights = [_weights(record) for record in (one, other)]
    # Neither of a model file: logits that lacal train stored.
    if files == [None, None]:
        return bool(weights[0] == weights[1])
    return bool(files[0] == files[1] or (weights[0] is not None and weights[0] == weights[1]))


def made_otherwise(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """What keeps logits apart that were made as two records say, to stand before "than"; None where nothing does.

    Batches, devices and versions may differ.
    """
    if not same_model(one, other):
        return "another model"
    if one.get(KEY) != other.get(KEY):
        return "a model with another record of its training"
    for name, words in _STATES.items():
        if name in one and name in other and one[name] != other[name]:
            return words
    return None


def _weights(inference: dict[str, Any]) -> Any:
    training = inference.get(KEY)
    return training.get("weights") if isinstance(training, dict) else None


def _damaged(place: str, error: Exception) -> DataError:
    return DataError(
        f"{place}: the record of how the model was trained cannot be read ({reason(error)}); expected what "
        "lacal train wrote; export or infer again, or remove the entry"
    )
