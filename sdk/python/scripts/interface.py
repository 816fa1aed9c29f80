"""Prints every public name with its signature, sorted, and `BARE name` for what has no docstring."""

import dataclasses
import enum
import inspect

import rcseal

lines = []


def show(name: str, thing: object) -> None:
    """One function or property."""
    if isinstance(thing, property):
        answer = inspect.signature(thing.fget).return_annotation
        lines.append(f"{name}: {answer}")
        thing = thing.fget
    else:
        thing = getattr(thing, "__func__", thing)
        lines.append(f"{'async ' if inspect.iscoroutinefunction(thing) else ''}{name}{inspect.signature(thing)}")
    if not inspect.getdoc(thing):
        print("BARE", name)


for name in rcseal.__all__:
    thing = getattr(rcseal, name)
    if not thing.__doc__:
        print("BARE", name)
    if inspect.isfunction(thing):
        show(name, thing)
    elif issubclass(thing, enum.Enum):
        lines.extend(f"{name}.{member.name}" for member in thing)
    elif thing.__module__ == "rcseal._ffi":
        # A record: its fields are the arguments it is made with. A union: its cases are classes of its own.
        cases = [case for key, case in vars(thing).items() if key.isupper() and inspect.isclass(case)]
        for case in cases:
            lines.append(f"{name}.{case.__name__}{inspect.signature(case.__init__)}")
        if not cases:
            fields = [str(field).replace("rcseal._ffi.", "") for field in inspect.signature(thing.__init__).parameters.values()]
            lines.extend(f"{name}.{field.split(' = ')[0]}" for field in fields if field != "self")
    else:
        lines.append(f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})")
        for key, member in vars(thing).items():
            known = inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod))
            if known and (not key.startswith("_") or key == "__init__"):
                # A protocol has a constructor that nobody wrote.
                if not (key == "__init__" and getattr(thing, "_is_protocol", False)):
                    show(f"{name}.{key}", member)
print("\n".join(sorted(lines)))
