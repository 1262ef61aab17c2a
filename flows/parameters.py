"""A flow's parameters, drawn from the class that declares them."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar, cast

from prefect.settings import get_current_settings
from pydantic.fields import FieldInfo

from tasks.errors import InputError
from tasks.spec.specs import Spec

# What a path is given in JSON, and how much room is left for all other parameters.
QUOTES_BYTES = 3
OTHERS_MAX_BYTES = 16 * 1024

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Given = TypeVar("Given", bound=Spec)


def takes(
    declared: Callable[Parameters, Given],
) -> Callable[[Callable[[Given], Result]], Callable[Parameters, Result]]:
    """Have a function of one spec take the fields of that spec as its parameters.

    Prefect makes its form from them, and the command line its options: types, bounds, defaults and
    descriptions are those of the fields. It goes between `@flow` and the function.
    """

    # A class is also what makes its instances: so a type checker knows the parameters of the result.
    spec = cast(type[Given], declared)

    def decorate(function: Callable[[Given], Result]) -> Callable[Parameters, Result]:
        signature = _signature_from(spec)
        taking = _adapt(function, lambda *args, **names: spec(**signature.bind(*args, **names).arguments))
        returned = function.__annotations__["return"]
        taking.__signature__ = _RecordedSignature(
            [*signature.parameters.values()], return_annotation=returned
        )
        taking.__doc__ = _docstring_from(inspect.getdoc(function) or "", spec)
        # Else these would be taken for the types of the parameters.
        taking.__annotations__ = {}
        return taking

    return decorate


class _RecordedSignature(inspect.Signature):
    """A flow's signature, by which Prefect binds the arguments of a call before it records them."""

    def bind(self, *args: Any, **names: Any) -> inspect.BoundArguments:
        """As ever, but raises InputError for more inputs than Prefect would record."""
        bound = super().bind(*args, **names)
        _refuse_long_list(bound.arguments.get("inputs"))
        return bound


def _refuse_long_list(inputs: object) -> None:
    limit_bytes = get_current_settings().server.api.max_parameter_size
    if not isinstance(inputs, list | tuple) or limit_bytes == 0:
        return
    size_bytes = sum(len(str(path).encode(errors="replace")) + QUOTES_BYTES for path in inputs)
    if size_bytes + OTHERS_MAX_BYTES > limit_bytes:
        raise InputError(
            f"{len(inputs):,} paths are more than Prefect records with a run ({size_bytes:,} bytes; the "
            f"limit is {limit_bytes:,}). Give their folder, a glob in quotes ('data/*.csv'), or @FILE: it "
            f"lists the paths, one a line."
        )


def _adapt(function: Callable[[Given], Any], build: Callable[..., Given]) -> Callable[..., Any]:
    """A function that builds its argument from its parameters; a generator if it was one, as Prefect asks."""

    @functools.wraps(function)
    def call(*args: Any, **names: Any) -> Any:
        return function(build(*args, **names))

    @functools.wraps(function)
    def generate(*args: Any, **names: Any) -> Iterator[Any]:
        return (yield from function(build(*args, **names)))

    return generate if inspect.isgeneratorfunction(function) else call


def _signature_from(spec: type[Spec]) -> inspect.Signature:
    """The fields as parameters: a class's own before those that it inherits, and those without a default
    first, as Python wants them."""
    names = [name for kind in spec.__mro__ for name in inspect.get_annotations(kind)]
    fields = {name: spec.model_fields[name] for name in names if name in spec.model_fields}
    parameters = [_parameter_from(name, field) for name, field in fields.items()]
    return inspect.Signature(sorted(parameters, key=lambda one: one.default is not inspect.Parameter.empty))


def _parameter_from(name: str, field: FieldInfo) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    kind, annotation = inspect.Parameter.POSITIONAL_OR_KEYWORD, field.rebuild_annotation()
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _docstring_from(text: str, spec: type[Spec]) -> str:
    """A docstring with the descriptions of the fields, where Prefect and the command line look for them."""
    described = [f"    {name}: {field.description}" for name, field in spec.model_fields.items()]
    return "\n".join([text, "", "Args:", *described])
