"""The operations of API 2025-06-01: method and path, and the name that the official client gives each.

Source: the clients' generated requests; names are methods of `azure.batch.BatchClient`.
"""

from __future__ import annotations

_POOL = "/pools/{pool}"
_NODE = _POOL + "/nodes/{node}"
_NODE_FILE = _NODE + "/files/{file:path}"
_JOB = "/jobs/{job}"
_TASK = _JOB + "/tasks/{task}"
_TASK_FILE = _TASK + "/files/{file:path}"
_SCHEDULE = "/jobschedules/{schedule}"

OPERATIONS: dict[tuple[str, str], str] = {
    ("GET", "/applications"): "list_applications",
    ("GET", "/applications/{application}"): "get_application",
    ("GET", "/supportedimages"): "list_supported_images",
    ("GET", "/poolusagemetrics"): "list_pool_usage_metrics",
    ("GET", "/nodecounts"): "list_pool_node_counts",
    ("POST", "/pools"): "create_pool",
    ("GET", "/pools"): "list_pools",
    ("GET", _POOL): "get_pool",
    ("HEAD", _POOL): "pool_exists",
    ("PATCH", _POOL): "update_pool",
    ("DELETE", _POOL): "begin_delete_pool",
    ("POST", f"{_POOL}/updateproperties"): "replace_pool_properties",
    ("POST", f"{_POOL}/enableautoscale"): "enable_pool_auto_scale",
    ("POST", f"{_POOL}/disableautoscale"): "disable_pool_auto_scale",
    ("POST", f"{_POOL}/evaluateautoscale"): "evaluate_pool_auto_scale",
    ("POST", f"{_POOL}/resize"): "begin_resize_pool",
    ("POST", f"{_POOL}/stopresize"): "begin_stop_pool_resize",
    ("POST", f"{_POOL}/removenodes"): "begin_remove_nodes",
    ("GET", f"{_POOL}/nodes"): "list_nodes",
    ("GET", _NODE): "get_node",
    ("POST", f"{_NODE}/reboot"): "begin_reboot_node",
    ("POST", f"{_NODE}/start"): "begin_start_node",
    ("POST", f"{_NODE}/reimage"): "begin_reimage_node",
    ("POST", f"{_NODE}/deallocate"): "begin_deallocate_node",
    ("POST", f"{_NODE}/disablescheduling"): "disable_node_scheduling",
    ("POST", f"{_NODE}/enablescheduling"): "enable_node_scheduling",
    ("GET", f"{_NODE}/remoteloginsettings"): "get_node_remote_login_settings",
    ("POST", f"{_NODE}/uploadbatchservicelogs"): "upload_node_logs",
    ("GET", f"{_NODE}/extensions"): "list_node_extensions",
    ("GET", _NODE + "/extensions/{extension}"): "get_node_extension",
    ("POST", f"{_NODE}/users"): "create_node_user",
    ("PUT", _NODE + "/users/{user}"): "replace_node_user",
    ("DELETE", _NODE + "/users/{user}"): "delete_node_user",
    ("GET", f"{_NODE}/files"): "list_node_files",
    ("GET", _NODE_FILE): "download_node_file",
    ("HEAD", _NODE_FILE): "get_node_file_properties",
    ("DELETE", _NODE_FILE): "delete_node_file",
    ("POST", "/jobs"): "create_job",
    ("GET", "/jobs"): "list_jobs",
    ("GET", _JOB): "get_job",
    ("PATCH", _JOB): "update_job",
    ("PUT", _JOB): "replace_job",
    ("DELETE", _JOB): "begin_delete_job",
    ("POST", f"{_JOB}/disable"): "begin_disable_job",
    ("POST", f"{_JOB}/enable"): "begin_enable_job",
    ("POST", f"{_JOB}/terminate"): "begin_terminate_job",
    ("GET", f"{_JOB}/taskcounts"): "get_job_task_counts",
    ("GET", f"{_JOB}/jobpreparationandreleasetaskstatus"): "list_job_preparation_and_release_task_status",
    ("POST", "/jobschedules"): "create_job_schedule",
    ("GET", "/jobschedules"): "list_job_schedules",
    ("GET", _SCHEDULE): "get_job_schedule",
    ("HEAD", _SCHEDULE): "job_schedule_exists",
    ("PATCH", _SCHEDULE): "update_job_schedule",
    ("PUT", _SCHEDULE): "replace_job_schedule",
    ("DELETE", _SCHEDULE): "begin_delete_job_schedule",
    ("POST", f"{_SCHEDULE}/disable"): "disable_job_schedule",
    ("POST", f"{_SCHEDULE}/enable"): "enable_job_schedule",
    ("POST", f"{_SCHEDULE}/terminate"): "begin_terminate_job_schedule",
    ("GET", f"{_SCHEDULE}/jobs"): "list_jobs_from_schedule",
    ("POST", f"{_JOB}/tasks"): "create_task",
    ("POST", f"{_JOB}/addtaskcollection"): "create_task_collection",
    ("GET", f"{_JOB}/tasks"): "list_tasks",
    ("GET", _TASK): "get_task",
    ("PUT", _TASK): "replace_task",
    ("DELETE", _TASK): "delete_task",
    ("POST", f"{_TASK}/terminate"): "terminate_task",
    ("POST", f"{_TASK}/reactivate"): "reactivate_task",
    ("GET", f"{_TASK}/subtasksinfo"): "list_subtasks",
    ("GET", f"{_TASK}/files"): "list_task_files",
    ("GET", _TASK_FILE): "download_task_file",
    ("HEAD", _TASK_FILE): "get_task_file_properties",
    ("DELETE", _TASK_FILE): "delete_task_file",
}
