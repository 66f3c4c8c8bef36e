"""moto's server with AWS's error documents: moto's own form differs from those of both protocols."""

import json

from moto.core.exceptions import JsonRESTError, _RESTError
from moto.iam.access_control import IAMRequest
from moto.server import main

# error code of the query protocol → of the JSON protocol
JSON_CODES = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


class QueryError(_RESTError):
    code = 403

    def __init__(self, error_type, message):
        super().__init__(error_type, message)
        self.description = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{error_type}</Code><Message>{message}</Message></Error>"
            "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )


def refuse(request, code, message):
    if request._service in ("sts", "iam"):
        raise QueryError(code, message)
    raise JsonRESTError(JSON_CODES[code], message)  # with status 400, as AWS


def resource(request):
    try:
        arguments = json.loads(request._body)
    except ValueError:
        return "*"
    names = [arguments.get("repositoryName"), *arguments.get("repositoryNames", [])]
    name = next(filter(None, names), None)
    return f"arn:aws:ecr:{request._region}:{request.account_id}:repository/{name}" if name else "*"


def access_denied(self):
    message = f"User: {self._access_key.arn} is not authorized to perform: {self._action} on resource: {resource(self)}"
    refuse(self, "AccessDenied", f"{message} because no identity-based policy allows the {self._action} action")


def wrong_signature(self):
    message = "The request signature we calculated does not match the signature you provided."
    refuse(self, "SignatureDoesNotMatch", f"{message} Check your AWS Secret Access Key and signing method.")


def wrong_key(self, _reason):
    refuse(self, "InvalidClientTokenId", "The security token included in the request is invalid.")


IAMRequest._raise_access_denied = access_denied
IAMRequest._raise_signature_does_not_match = wrong_signature
IAMRequest._raise_invalid_access_key = wrong_key
main()
