"""A plugin of detect-secrets: numbers of AWS accounts."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class AccountNumberDetector(RegexBasedDetector):
    """Finds twelve digits that stand alone, as the numbers of AWS accounts do, also within an ARN."""

    secret_type = "AWS account number"  # pragma: allowlist secret
    denylist = (re.compile(r"(?<![\w.])\d{12}(?![\w.])"),)
