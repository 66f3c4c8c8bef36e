"""moto's server with a CloudFormation that makes functions of SAM's templates, and of images, and finds templates in S3."""

from urllib.parse import urlparse

import boto3
import moto.cloudformation.responses as responses
from moto.awslambda.models import ImageConfig, LambdaFunction
from moto.cloudformation.models import ChangeSet
from moto.s3.models import s3_backends

SAM = "AWS::Serverless-2016-10-31"

parse = ChangeSet._parse_template
create = LambdaFunction.create_from_cloudformation_json
template = responses.get_stack_from_s3_url


def transformed(self):
    """The stack has what SAM's own translator makes of the template, as in AWS; GetTemplate still returns the original."""
    parse(self)
    transforms = self.template_dict.get("Transform", [])
    if SAM not in ([transforms] if isinstance(transforms, str) else transforms):
        return
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    session = boto3.Session(region_name=self.stack.region_name)
    translator = Translator({}, Parser(), boto_session=session)
    self.template_dict = translator.translate(self.template_dict, self.parameters)


def create_function(cls, resource_name, cloudformation_json, *more, **named):
    """moto leaves these properties out, so that a function of an image would be one of a zip."""
    function = create(resource_name, cloudformation_json, *more, **named)
    properties = cloudformation_json["Properties"]
    function.package_type = properties.get("PackageType", "Zip")
    function.architectures = properties.get("Architectures", ["x86_64"])
    function.image_config = ImageConfig(properties.get("ImageConfig", {}))
    return function


def template_at(url, account_id, partition):
    """moto looks for the bucket in the host name, but a server on an address has it in the path."""
    where = urlparse(url)
    if where.hostname != "127.0.0.1":
        return template(url, account_id, partition)
    bucket, key = where.path.lstrip("/").split("/", 1)
    return s3_backends[account_id][partition].get_object(bucket, key).value.decode()


ChangeSet._parse_template = transformed
LambdaFunction.create_from_cloudformation_json = classmethod(create_function)
responses.get_stack_from_s3_url = template_at

import moto_server  # noqa: E402,F401  starts it
