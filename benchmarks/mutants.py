"""Which small changes mutmut would make to a file, as JSON; run by an environment that has mutmut and needs nothing of ours.

`python benchmarks/mutants.py agents/budget.py ...`: a line for each mutant, with the function that it is in (as Python names
it within its module), that function's source changed, and what was changed into what.
"""

import json
import sys
from pathlib import Path
from typing import Any

import libcst as cst
from mutmut.mutation.file_mutation import create_mutations


class Bare(cst.CSTTransformer):
    """Takes decorators away: mutmut changes no function that has one, and of ours all that ask for their arguments do."""

    def leave_FunctionDef(  # noqa: N802  libcst looks for that name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        return updated_node.with_changes(decorators=[])


def mutants(path: Path) -> list[dict[str, Any]]:
    """In the order of the file."""
    code = cst.parse_module(path.read_text()).visit(Bare()).code
    module, mutations, *_ = create_mutations(str(path), code)
    named: dict[cst.CSTNode, str] = {}

    def names(body: Any, above: str) -> None:
        for node in body:
            if isinstance(node, cst.ClassDef):
                names(node.body.body, f"{above}{node.name.value}.")
            elif isinstance(node, cst.FunctionDef):
                named[node] = f"{above}{node.name.value}"

    names(module.body, "")
    found = []
    for one in mutations:
        function = one.contained_by_top_level_function
        if function is None or function not in named:
            continue
        changed = function.deep_replace(one.original_node, one.mutated_node)
        was, now = (cst.Module([node]).code for node in (function, changed))
        if was == now:
            continue
        line = next((n for n, (a, b) in enumerate(zip(was.splitlines(), now.splitlines(), strict=False)) if a != b), 0)
        where = {"file": str(path), "function": named[function], "source": now}
        told = {"line": line, "was": was.splitlines()[line].strip(), "now": [*now.splitlines(), ""][line].strip()}
        found.append(where | told)
    return found


if __name__ == "__main__":
    for file in sys.argv[1:]:
        for one in mutants(Path(file)):
            print(json.dumps(one))
