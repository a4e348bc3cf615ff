"""The error codes that S3, Google Cloud Storage and Azure Blob Storage document, by what they mean for a run.

Sources: the error responses of Amazon S3, the status and error codes of Cloud Storage, and the error codes of Blob
Storage, as of 2026.
"""

from dataclasses import dataclass

from chandlery.machine.aws import BUSY as AWS_BUSY

__all__ = ["BUSY", "MEANINGS", "MISSING", "NO_BUCKET", "Meaning"]

# Running again may succeed.
BUSY = AWS_BUSY | frozenset(
    """
    ContainerBeingDeleted OperationTimedOut ServerBusy ServerTimeout backendError internalError rateLimitExceeded
    userRateLimitExceeded
    """.split()
)
NO_BUCKET = frozenset("ContainerNotFound InvalidBucketName NoSuchBucket ContainerDisabled FilesystemNotFound".split())
# Of an object that is not there; a store may also give no code.
MISSING = frozenset("BlobNotFound NoSuchKey NoSuchObject NoSuchVersion NotFound PathNotFound notFound".split())


@dataclass(frozen=True)
class Meaning:
    """What some error codes mean.

    Args:
        codes: The codes, in one text.
        found: What was found; {uri}, {act} and {path} stand for those of the request.
        expected: What would have been right.
        hint: What to do.
    """

    codes: str
    found: str
    expected: str
    hint: str


_ALL = (
    Meaning(
        "ExpiredToken ExpiredTokenException TokenRefreshRequired",
        "the session of the credentials for {uri} has ended",
        "credentials that are still valid",
        "sign in again (such as `aws sso login`), and run again",
    ),
    Meaning(
        "AccessDeniedByClockSkew RequestExpired RequestTimeTooSkewed RequestInTheFuture",
        "the clock of this machine differs from that of {uri}",
        "clocks that differ by less than 15 minutes",
        "set the clock of this machine by NTP",
    ),
    Meaning(
        "AuthorizationHeaderMalformed IllegalLocationConstraintException IncorrectEndpoint PermanentRedirect "
        "Redirect TemporaryRedirect",
        "{uri} is in another region",
        "the region of the bucket",
        "set `region` of the storage to that of the bucket, and check endpoint_url",
    ),
    Meaning(
        "AuthenticationFailed InvalidAccessKeyId InvalidAuthenticationInfo InvalidClientTokenId InvalidSecurity "
        "InvalidToken NotSignedUp SignatureDoesNotMatch UnrecognizedClientException authError invalid_client "
        "invalid_grant",
        "{uri} does not accept the credentials",
        "credentials that the store knows",
        "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or the machine's role",
    ),
    Meaning(
        "BlobImmutableDueToLegalHold BlobImmutableDueToPolicy objectUnderActiveHold retentionPolicyNotMet",
        "{path} at {uri} is protected: it must not be replaced or deleted",
        "a bucket without object lock, holds and retention",
        "keep the lake in another bucket",
    ),
    Meaning(
        "BlobArchived InvalidBlobTier InvalidObjectState",
        "{path} at {uri} is in an archive class, which cannot be read at once",
        "objects that can be read",
        "restore it, or leave it out by [source] exclude",
    ),
    Meaning(
        "KMS.DisabledException KMS.InvalidStateException KMS.KMSInvalidStateException KMS.NotFoundException "
        "KMSKeyDisabled KeyVaultEncryptionKeyNotFound KeyVaultVaultNotFound",
        "the key by which {uri} is encrypted cannot be used",
        "a key that is enabled and that the credentials may use",
        "check the key and sse_kms_key_id",
    ),
    Meaning(
        "AccountIsDisabled AccountProblem AllAccessDisabled BillingDisabled UserProjectMissing accountDisabled",
        "the account of {uri} cannot be used",
        "an account that is open and pays for its requests",
        "ask its owner",
    ),
    Meaning(
        "MethodNotAllowed NotImplemented NotSupported UnsupportedHttpVerb UnsupportedHeader",
        "{uri} does not support a request that is needed to {act} {path}",
        "a store with conditional puts and the other requests of S3",
        "use another store, or check endpoint_url",
    ),
    Meaning(
        "AccessDenied AuthorizationFailure AuthorizationPermissionMismatch AuthorizationProtocolMismatch "
        "AuthorizationSourceIPMismatch InsufficientAccountPermissions PublicAccessNotPermitted accessDenied forbidden "
        "insufficientPermissions",
        "no right to {act} {path} at {uri}",
        "credentials that may {act} there",
        "check the credentials, the role and the bucket's policy",
    ),
)
MEANINGS = {code: meaning for meaning in _ALL for code in meaning.codes.split()}
