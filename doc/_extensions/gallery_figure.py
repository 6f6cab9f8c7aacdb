"""A directive that shows a figure of the gallery, with a link to the code that drew it.

``.. gallery-figure:: cluster/plot_outliers 2`` is the second figure of the example. The
option ``alt`` is what it shows, and the content is its caption. If the examples were
not run (``plot_gallery=0``), nothing is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils.parsers.rst.directives.images import Figure
from docutils.statemachine import StringList


class GalleryFigure(Figure):
    """Figure of an example."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = False
    option_spec: ClassVar[Any] = Figure.option_spec

    def run(self) -> Any:
        """Return the figure, or nothing if there is no image."""
        example, *number = self.arguments
        section, _, name = example.partition("/")
        image = f"sphx_glr_{name}_{int(number[0]) if number else 1:03}.png"
        path = f"/auto_examples/{section}/images/{image}"
        settings = self.state.document.settings
        source = Path(settings.env.srcdir)
        if not (source.parent / "examples" / section / f"{name}.py").exists():
            raise self.error(f"There is no example {example}.")
        if not (source / path[1:]).exists():
            return []
        self.arguments = [path]
        link = f":ref:`Code <sphx_glr_auto_examples_{section}_{name}.py>`"
        caption = [*self.content, link] if self.content else [link]
        self.content = StringList(caption, self.state_machine.input_lines.source(0))
        return super().run()


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("gallery-figure", GalleryFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
