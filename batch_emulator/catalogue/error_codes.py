"""What the service answers with: every error code, its HTTP status and its message.

Source: REST documentation page "Batch Status and Error Codes", the error code list of the official clients,
and, where recorded traffic words a message differently from the page, the recorded wording.
"""

from __future__ import annotations

BAD_REQUEST = {
    "AutoScaleFormulaTooLong": "The specified auto-scaling formula exceeds lengths limit.",
    "AutoScalingFormulaEvaluationError": "The specified auto-scaling formula has evaluation error",
    "AutoScalingFormulaSyntaxError": "The specified auto-scaling formula has a syntax error.",
    "AutoScalingFormulaTooLong": "The specified auto-scaling formula exceeds lengths limit.",
    "EmptyMetadataKey": "The key for one of the metadata key-value pairs is empty.",
    "HostInformationNotPresent": (
        "The required host information is not present in the request. You must send a non-empty Host "
        "header or include the absolute URI in the request line."
    ),
    "InvalidApiVersion": "The specified api version is invalid.",
    "InvalidAuthenticationInfo": (
        "Authentication information is not given in the correct format. Check the value of Authorization "
        "header."
    ),
    "InvalidAutoScalingSettings": "The specified auto-scaling settings are not valid.",
    "InvalidCertificateReferences": "One or more of the specified certificate references are invalid.",
    "InvalidConstraintValue": "A value in a job or task constraint is out of range.",
    "InvalidHeaderValue": "The value for one of the HTTP headers is not in the correct format.",
    "InvalidHttpVerb": "The HTTP verb specified was not recognized by the server.",
    "InvalidInput": "One of the request inputs is not valid.",
    "InvalidMetadata": "The specified metadata is invalid. It includes characters that are not permitted.",
    "InvalidPropertyValue": "The value provided for one of the properties in the request body is invalid.",
    "InvalidQueryParameterValue": (
        "Value for one of the query parameters specified in the request URI is invalid."
    ),
    "InvalidRequestBody": "The specified Request Body is not syntactically valid.",
    "InvalidRestAPIForAccountSetting": "The specified operation is not valid for the account's settings.",
    "InvalidUri": "The requested URI does not represent any resource on the server.",
    "LifetimeStatsAPIRetired": "Lifetime statistics API was retired on 04/30/2023",
    "MetadataTooLarge": "The size of the specified metadata exceeds the maximum size permitted.",
    "MissingRequiredHeader": "A required HTTP header was not specified.",
    "MissingRequiredProperty": "A required property was not specified in the request body.",
    "MissingRequiredQueryParameter": (
        "A query parameter that's mandatory for this request is not specified."
    ),
    "MultipleConditionHeadersNotSupported": "Multiple condition headers are not supported.",
    "NodeCountsMismatch": "The specified node counts do not match.",
    "OSVersionDisabled": "The specified OS Version is disabled.",
    "OSVersionExpired": "The specified OS Version is expired.",
    "OSVersionNotFound": "The specified OS Version does not exists.",
    "OutOfRangeInput": "One of the request inputs is out of range.",
    "OutOfRangePriority": "The specified priority is outside the permissible range of -1000 to 1000.",
    "OutOfRangeQueryParameterValue": (
        "A query parameter specified in the request URI is outside the permissible range."
    ),
    "PoolNotEligibleForOSVersionUpgrade": "The specified pool is not eligible for OS Version upgrade.",
    "PoolVersionEqualsUpgradeVersion": "The pool is already with the given version.",
    "RequestUrlFailedToParse": "The url in the request could not be parsed.",
    "TaskDependenciesNotSpecifiedOnJob": (
        "A task was specified as depending on other tasks, but the job did not specify that it would use "
        "task dependencies."
    ),
    "TaskDependencyListTooLong": (
        "A task was specified as depending on other tasks, but the list of dependencies was too long to "
        "be stored."
    ),
    "TaskDependencyRangesTooLong": (
        "A task was specified as depending on multiple ranges of task ids, and the list of ranges was "
        "too long to be stored."
    ),
    "UnsupportedConstraint": "One of the specified job or task constraints is not supported.",
    "UnsupportedHeader": "One of the HTTP headers specified in the request is not supported.",
    "UnsupportedHttpVersion": "The HTTP version specified is not one supported by the server.",
    "UnsupportedProperty": "One of the properties specified in the request body is not supported.",
    "UnsupportedQueryParameter": "One of the query parameters specified in the request URI is not supported.",
    "UnsupportedRequestVersion": "The specified request version is not supported.",
}

FORBIDDEN = {
    "AccountIsDisabled": "The specified account is disabled.",
    "AuthenticationFailed": (
        "Server failed to authenticate the request. Make sure the value of Authorization header is "
        "formed correctly including the signature."
    ),
    "Forbidden": "Access is Forbidden",
    "IOError": "An I/O error occurred when accessing the specified resource.",
    "InsufficientAccountPermissions": (
        "The account being accessed does not have sufficient permissions to execute this operation."
    ),
    "InsufficientPermissions": "The caller does not have the permission that this operation needs.",
}

NOT_FOUND = {
    "AccountNotFound": "The specified account does not exist.",
    "ApplicationNotFound": "The specified application does not exist.",
    "CertificateNotFound": "The specified certificate does not exist.",
    "FileNotFound": "The specified file does not exist.",
    "JobNotFound": "The specified job does not exist.",
    "JobPreparationTaskNotRunOnNode": "The job preparation task did not run on the specified node.",
    "JobReleaseTaskNotRunOnNode": "The job release task did not run on the specified node.",
    "JobScheduleNotFound": "The specified job schedule does not exist.",
    "NodeAgentSKUNotFound": "The specified Node Agent SKU does not exist.",
    "NodeExtensionNotFound": "The specified node extension does not exist.",
    "NodeNotFound": "The specified node does not exist.",
    "NodeUserNotFound": "The specified node user does not exist.",
    "PathNotFound": "The specified path does not exist.",
    "PoolNotFound": "The specified pool does not exist.",
    "ResourceNotFound": "The specified resource does not exist.",
    "StorageAccountNotFound": "The specified storage account does not exist.",
    "TaskNotFound": "The specified task does not exist.",
}

CONFLICT = {
    "AccountCoreQuotaReached": "The core quota for the account has been reached.",
    "AccountLowPriorityCoreQuotaReached": "The low-priority core quota for the account has been reached.",
    "ActiveJobAndScheduleQuotaReached": "Active job and schedule quota for the account has been reached.",
    "AutoScaleNotEnabled": "Automatic scaling is not enabled on the specified pool.",
    "CertificateBeingDeleted": "The specified certificate has been marked for deletion and is being deleted.",
    "CertificateExists": "The specified certificate already exists.",
    "CertificateStateActive": "The specified certificate is in active state.",
    "CertificateStateDeleteFailed": (
        "The specified certificate could not be deleted because it is still in use."
    ),
    "InvalidApplicationPackageReferences": (
        "One or more of the specified application package references are invalid."
    ),
    "JobBeingDeleted": "The specified job has been marked for deletion and is being garbage collected.",
    "JobBeingTerminated": "The specified job is being terminated.",
    "JobCompleted": "The specified job is already in a completed state.",
    "JobDisabled": "The specified job is disabled.",
    "JobExists": "The specified job already exists.",
    "JobNotActive": "The specified job is not in active state.",
    "JobNotDisabled": "The specified job is not in disabled state.",
    "JobPreparationTaskNotSpecified": "The specified job does not have job preparation task.",
    "JobPreparationTaskOrReleaseTaskNotSpecified": (
        "The specified job does not have either job preparation task or job release task."
    ),
    "JobReleaseTaskNotSpecified": "The specified job does not have job release task.",
    "JobScheduleBeingDeleted": (
        "The specified job schedule has been marked for deletion and is being reclaimed."
    ),
    "JobScheduleBeingTerminated": "The specified job schedule is being terminated.",
    "JobScheduleCompleted": "The specified job schedule is already in completed state.",
    "JobScheduleDisabled": "The specified job schedule is disabled.",
    "JobScheduleExists": "The specified job schedule already exists.",
    "JobScheduleWithSameIdExists": (
        "A job schedule with the specified job id exists. Job and job schedule cannot have the same id."
    ),
    "JobWithSameIdExists": (
        "A job with the specified job schedule id exists. Job and job schedule cannot have the same id."
    ),
    "NodeAlreadyInTargetSchedulingState": "The specified node is already in the target scheduling state.",
    "NodeBeingCreated": "The specified node is being created",
    "NodeBeingRebooted": "The specified node is being rebooted",
    "NodeBeingReimaged": "The specified node is being reimaged",
    "NodeBeingStarted": "The specified node is being started",
    "NodeNotReady": "The specified node is not ready to perform the requested operation.",
    "NodeStateUnusable": "The state of the specified node is unusable",
    "NodeUserExists": "The specified node user already exists.",
    "OperationInvalidForCurrentState": (
        "The specified operation is not valid for the current state of the resource."
    ),
    "OperationNotValidOnNode": "The specified operation is not valid on the node.",
    "OperationNotValidOnPool": "The specified operation is not valid on the pool.",
    "PoolBeingCreated": "The specified pool is being created.",
    "PoolBeingDeleted": "The specified pool has been marked for deletion and is being reclaimed.",
    "PoolBeingResized": "The specified pool is being resized",
    "PoolExists": "The specified pool already exists.",
    "PoolQuotaReached": "Pool quota for the account has been reached.",
    "ResourceAlreadyExists": "The specified resource already exists.",
    "ResourceTypeMismatch": "The specified resource does not match the expected type.",
    "TaskCompleted": "The specified task is already in a completed state.",
    "TaskExists": "The specified task already exists.",
    "TaskFilesCleanedup": "The files of the specified task are cleanedup.",
    "TaskFilesUnavailable": "The files of the specified task are unavailable.",
    "TaskIdSameAsJobPreparationTask": "The specified task id is same as the job preparation task.",
    "TaskIdSameAsJobReleaseTask": "The specified task id is same as the job release task.",
    "TaskNotCompleted": (
        "The specified task is not in a completed state, and the requested operation can be performed "
        "only on completed tasks."
    ),
    "TaskSucceeded": (
        "The specified task has already completed successfully, and the requested operation cannot be "
        "performed on successful tasks."
    ),
    "UpgradePoolVersionConflict": "The pool is already upgrading to a different version.",
}

OTHER = {
    "NotModified": (304, "The condition specified using HTTP conditional header(s) is not met."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support specified Http Verb."),
    "MissingContentLengthHeader": (411, "Content-Length HTTP header was not specified."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "TooManyRequests": (429, "Request failed as server encountered too many requests. Please try again."),
    "InternalError": (500, "Server encountered an internal error. Please try again after some time."),
    "OperationTimedOut": (500, "Operation could not be completed within the specified time."),
    "NotImplemented": (501, "The requested operation is not implemented on the specified resource."),
    "ServerBusy": (503, "Server is busy. Please try again after some time."),
    "TooManyEnableAutoScaleRequests": (
        503,
        "Too many Enable Pool AutoScale requests are issued on the pool.",
    ),
}


def _with_status(status: int, messages: dict[str, str]) -> dict[str, tuple[int, str]]:
    return {code: (status, message) for code, message in messages.items()}


CATALOGUE: dict[str, tuple[int, str]] = {
    **_with_status(400, BAD_REQUEST),
    **_with_status(403, FORBIDDEN),
    **_with_status(404, NOT_FOUND),
    **_with_status(409, CONFLICT),
    **OTHER,
}
"""Error code -> (HTTP status, message without the RequestId and Time lines)."""
