"""From a written comparison of one field to its meaning, inside a spec or by itself."""

from __future__ import annotations

from crossfade.spec.check_compare import FIELD, check_one
from crossfade.spec.document_compare import ComparisonDocument
from crossfade.spec.model import Comparison
from crossfade.spec.problems import Problem, SpecProblems
from crossfade.spec.source import load, shown


def comparison(path: str, text: str) -> Comparison:
    """The comparison of the field `path` that `text`, such as `{as: number, relative: 1%}`, asks for.

    Raises SpecProblems, holding everything that is wrong with it.
    """
    root, problems = load(text)
    document = ComparisonDocument.model_validate(root)
    if isinstance(document, ComparisonDocument):
        check_one(document)
    if FIELD.fullmatch(path) is None:
        allowed = "a path such as $.label or $.items[*].score, or the name of an output"
        message = f"found the field {shown(path)}; expected {allowed}"
        problems.append(Problem(line=1, path=path, message=message, found=shown(path), allowed=allowed))
    if problems or not isinstance(document, ComparisonDocument):
        raise SpecProblems(problems)
    return meant(path, document)


def meant(path: str, one: ComparisonDocument) -> Comparison:
    """What a comparison without problems means."""
    return Comparison(
        path=path,
        how=one.how,
        by=one.by or "",
        within=one.within,
        relative=one.relative,
        absolute=one.absolute,
        depth=one.depth,
        id=one.id or "$",
        mute=one.mute or "",
        embedding=one.embedding or "",
    )
