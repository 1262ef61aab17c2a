"""A flow's parameters, drawn from the class that declares them."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.settings import get_current_settings
from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from tasks.errors import InputError
from tasks.spec.blob_places import refuse_signature
from tasks.spec.forms import is_group, show_parameter
from tasks.spec.specs import Spec

# What a path is given in JSON, and how much room is left for all other parameters.
QUOTES_BYTES = 3
OTHERS_MAX_BYTES = 16 * 1024

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Given = TypeVar("Given", bound=Spec)
Shown = TypeVar("Shown", bound=Flow)


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
        """As ever, but raises InputError for what Prefect would record: too many inputs, or a signature."""
        bound = super().bind(*args, **names)
        _refuse_long_list(bound.arguments.get("inputs"))
        _refuse_signatures(bound.arguments)
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


def _refuse_signatures(given: Mapping[str, Any]) -> None:
    for name in ("inputs", "output_dir"):
        value = given.get(name)
        for place in value if isinstance(value, list | tuple) else [value]:
            if isinstance(place, str):
                refuse_signature(place)


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
    """The fields as parameters: a class's own before those that it inherits. One that is needed behind one
    that isn't has an empty default, as Python wants it; the field refuses that."""
    parameters, is_optional = [], False
    for name, field in _list_fields(spec).items():
        parameter = _parameter_from(name, field)
        is_optional = is_optional or not field.is_required()
        parameters.append(parameter.replace(default="") if is_optional and field.is_required() else parameter)
    return inspect.Signature(parameters)


def shown_in_form(spec: type[Spec]) -> Callable[[Shown], Shown]:
    """Have Prefect's form, and the command line, show the parameters in the order in which one sets
    them.

    It goes above `@flow`: Prefect draws the form from the signature of the flow, and calls by that of its
    function.
    """

    def decorate(flow: Shown) -> Shown:
        fields = _list_fields(spec)
        parameters = [_parameter_from(name, fields[name]) for name in _order_form(spec, fields)]
        flow.__signature__ = inspect.signature(flow).replace(parameters=parameters)  # pyright: ignore
        return flow

    return decorate


def recorded_lightly(flow: Shown) -> Shown:
    """Have Prefect record a run's parameters by pydantic alone, to the same JSON: its own way loads a web
    framework for that, half a second of processor time before each run's first step."""
    flow.serialize_parameters = _serialize_parameters
    return flow


def _serialize_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in parameters.items()}


def _serialize(value: object) -> Any:
    """As Prefect does: what is no JSON is recorded by its type."""
    unknown = f"<{type(value).__name__}>"
    if isinstance(value, PrefectFuture | State):
        return unknown
    try:
        return to_jsonable_python(value, by_alias=True)
    except Exception:
        # Serializers of values raise whatever they like.
        return unknown


def _order_form(spec: type[Spec], fields: dict[str, FieldInfo]) -> list[str]:
    """What is needed, the class's own, those that it inherits; then groups, which most runs leave alone."""
    own, first = inspect.get_annotations(spec), spec.shown_first
    return sorted(
        fields,
        key=lambda name: (
            not fields[name].is_required(),
            is_group(fields[name]),
            name not in own,
            first.index(name) if name in first else len(first),
        ),
    )


def _list_fields(spec: type[Spec]) -> dict[str, FieldInfo]:
    names = [name for kind in spec.__mro__ for name in inspect.get_annotations(kind)]
    return {name: spec.model_fields[name] for name in names if name in spec.model_fields}


def _parameter_from(name: str, field: FieldInfo) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    shown, look = show_parameter(name, field)
    # Subscription makes the tuple its arguments.
    annotation = Annotated[(field.rebuild_annotation(), *shown, Field(json_schema_extra=look))]
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
    )


def _docstring_from(text: str, spec: type[Spec]) -> str:
    """A docstring with the descriptions of the fields, where Prefect and the command line look for them."""
    described = [f"    {name}: {field.description}" for name, field in spec.model_fields.items()]
    return "\n".join([text, "", "Args:", *described])
