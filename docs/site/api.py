"""The pages of the reference: one per public name, per question, and per package of a kind."""

from importlib import import_module
from pathlib import PurePosixPath
from pkgutil import walk_packages

import observatory
from observatory import fits
from observatory.analysis.fit.questions import questions

KINDS = {
    "tasks": ("Tasks", "Task"),
    "models": ("Models", "Model"),
    "nonlinearities": ("Nonlinearities", None),
    "losses": ("Losses", "Loss"),
    "optimizers": ("Optimizers", "Optimizer"),
    "probes": ("Probes", "Probe"),
    "events": ("Events", None),
    "watch": ("Watching a model of your own", None),
}
"""Folders whose every module is in the reference: title, and what `core.contracts` asks of it."""

Pages = dict[PurePosixPath, str]


def heading(text: str, line: str = "=") -> str:
    """A title with its line below."""
    return f"{text}\n{line * len(text)}\n"


def toctree(names: list[str]) -> str:
    """Pages that lie below one, as folded entries of the sidebar."""
    return "\n".join([".. toctree::", "   :maxdepth: 1", "", *(f"   {n}" for n in names), ""])


def packages(package: str) -> dict[str, list[str]]:
    """A package and those below it that hold code, by dotted name, each with its modules."""
    found: dict[str, list[str]] = {package: []}
    for info in walk_packages(import_module(package).__path__, f"{package}."):
        home, _, last = info.name.rpartition(".")
        if not info.ispkg and not last.startswith("_"):
            found.setdefault(home, []).append(info.name)
    return {name: modules for name, modules in found.items() if modules}


def module_section(module: str) -> str:
    """Everything public of one module; what `observatory` itself names has a page of its own."""
    apart = [name for name, home in observatory._MODULES.items() if home == module]
    body = [heading(module.rpartition(".")[2].replace("_", " "), "-"), f".. automodule:: {module}"]
    body += [f"   :exclude-members: {', '.join(apart)}"] if apart else []
    body += ["", *(f":doc:`/api/observatory/{name}` has a page of its own.\n" for name in apart)]
    return "\n".join(body)


def package_pages(top: str, title: str, first: str = "") -> Pages:
    """A page per package from `top` down, with a section for each module."""
    found = packages(top)
    below = [name for name in found if name != top]
    pages: Pages = {}
    for name in dict.fromkeys([top, *below]):
        last = name.rpartition(".")[2].replace("_", " ")
        parts = [heading(title if name == top else f"{title}: {last}")]
        parts += [first] if name == top else []
        parts += map(module_section, found.get(name, []))
        if name == top and below:
            parts.append(
                toctree([f"{top.rpartition('.')[2]}/{n.rpartition('.')[2]}" for n in below])
            )
        pages[PurePosixPath("api", *name.split(".")[1:]).with_suffix(".rst")] = "\n".join(parts)
    return pages


def kind_pages(folder: str) -> Pages:
    """The page of a kind, with what every component of it must offer."""
    title, contract = KINDS[folder]
    promise = f".. autoclass:: observatory.core.contracts.{contract}\n" if contract else ""
    return package_pages(f"observatory.{folder}", title, promise)


def question_page(name: str) -> str:
    """One question: its function, its options and its estimators."""
    question = questions()[name]
    folder = question.ask.__module__.split(".")[2]
    examples = "\n".join(f"   observatory fit {line}" for line in question.examples)
    parts = [
        heading(name),
        f"{question.summary[0].upper()}{question.summary[1:]}.\n",
        f".. code-block:: sh\n\n{examples}\n",
        f".. autofunction:: observatory.fits.{name}\n",
        f"How it is computed: :doc:`/api/estimators/{folder}`.\n",
    ]
    return "\n".join(parts)


def question_pages() -> Pages:
    """A page per question, and one for all estimators of a folder of questions."""
    home = PurePosixPath("api/questions")
    pages = {home / f"{name}.rst": question_page(name) for name in dir(fits)}
    names = [f"questions/{name}" for name in dir(fits)]
    options = ".. automodule:: observatory.analysis.fit.options\n"
    result = ".. autoclass:: observatory.analysis.fit.result.Fitted\n"
    text = [heading("Questions: observatory.fits"), toctree([*names, "questions/fitted"])]
    pages[home / "fitted.rst"] = f"{heading('Options and results')}\n{result}\n{options}"
    pages[home.with_suffix(".rst")] = "\n".join(text)
    folders = sorted({q.ask.__module__.split(".")[2] for q in questions().values()})
    place = PurePosixPath("api/estimators")
    for folder in folders:
        own = package_pages(f"observatory.analysis.{folder}.estimators", f"Estimators: {folder}")
        pages[place / f"{folder}.rst"] = "\n".join(own.values())
    names = [f"estimators/{folder}" for folder in folders]
    pages[place.with_suffix(".rst")] = f"{heading('Estimators')}\n{toctree(names)}"
    return pages


def name_pages() -> Pages:
    """A page per name of `observatory`."""
    home = PurePosixPath("api/observatory")
    pages: Pages = {}
    for name in observatory.__all__:
        if name == "fits":
            body = "The questions by name: :doc:`/api/questions`.\n"
        elif name in observatory._FITS:
            now = observatory._FITS[name]
            body = f"The same as ``observatory.fits.{now}``: :doc:`/api/questions/{now}`.\n"
        else:
            kind = "class" if isinstance(getattr(observatory, name), type) else "function"
            body = f".. auto{kind}:: observatory.{name}\n"
        pages[home / f"{name}.rst"] = f"{heading(name)}\n{body}"
    names = [f"observatory/{name}" for name in observatory.__all__]
    pages[home.with_suffix(".rst")] = f"{heading('The names of observatory')}\n{toctree(names)}"
    return pages


def api_pages() -> Pages:
    """Every page of the reference by its path in the sources of the site."""
    pages = {**name_pages(), **question_pages()}
    for folder in KINDS:
        pages |= kind_pages(folder)
    tops = sorted(str(path.stem) for path in pages if len(path.parts) == 2)
    first = ["observatory", "questions", "estimators"]
    names = [*first, *(name for name in tops if name not in first)]
    intro = "Made from the docstrings; their examples are run by ``make test``.\n"
    pages[PurePosixPath("api.rst")] = "\n".join(
        [heading("Reference"), intro, toctree([f"api/{name}" for name in names])]
    )
    return pages
