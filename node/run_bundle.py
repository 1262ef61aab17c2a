"""Run a command for each of several files in one Batch task: what runs on a compute node for a bundle.

Standard library only, Python 3.8 or newer. `run_bundle.py MANIFEST` reads a JSON file, and deletes it
when it will not be read again, as it has signatures in it. Under `tasks` it has what the body of each file's
own Batch task would be, and does as the service would do: its resource files are fetched, its command is run
in a folder of its own, its output files are sent, while others are on their way. A file that fails keeps no
other from being run.

What became of each is noted in `outcomes.json` beside the manifest, and in a blob. A bundle that is begun
again reads that first, and runs only what has not succeeded and has tries left. The exit code is 0 if all
files succeeded, 1 if not, 143 if the task was ended from outside.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from bundle_storage import FileError, StorageError, fetch_input, keep, read_noted, select_outputs, send_output

LOGS = ("stdout.txt", "stderr.txt")
# So many files more than there are programs at once are fetched ahead, or sent afterwards.
AHEAD = 2
SAVE_SECONDS = 2.0
GRACE_SECONDS = 5.0
# So long storage may be away before a bundle begins.
RESUME_SECONDS = 30 * 60.0
ENDED = 143


def main(arguments):
    path = os.path.abspath(arguments[1])
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    bundle = Bundle(manifest, os.path.dirname(path), os.getcwd())
    signal.signal(signal.SIGTERM, lambda *_: bundle.stop())
    # The service repeats a task without fetching its resource files again.
    if manifest["max_tries"] == 1:
        os.unlink(path)
        return bundle.run()
    os.chmod(path, 0o600)
    code = bundle.run()
    if not bundle.find_left():
        os.unlink(path)
    return code


class Bundle:
    """The files of one Batch task, and what has become of them so far."""

    def __init__(self, manifest, folder, task_folder):
        self.manifest, self.folder, self.task_folder = manifest, folder, task_folder
        self.outcomes = {}
        self.slots = threading.Semaphore(manifest["at_once"])
        self.programs = set()
        self.lock, self.saving = threading.Lock(), threading.Lock()
        self.stopped = threading.Event()
        # What was done before is not to be overwritten before it is known.
        self.is_saved = True

    def run(self):
        try:
            self.resume()
        except StorageError as error:
            complain(f"What was done before can not be known, so nothing is run: {error}")
            return 1
        self.save()
        left = self.find_left()
        ended = threading.Event()
        saver = threading.Thread(target=self.keep_saving, args=[ended], daemon=True)
        saver.start()
        with ThreadPoolExecutor(self.manifest["at_once"] + AHEAD) as threads:
            list(threads.map(self.take, left))
        ended.set()
        saver.join()
        self.save()
        failed = sum(not succeeded(self.outcomes.get(file["id"])) for file in self.manifest["tasks"])
        print(f"{len(self.manifest['tasks'])} files, {failed} without success", flush=True)
        return ENDED if self.stopped.is_set() else int(failed > 0)

    def resume(self):
        """Take what an earlier start of this bundle has noted. While storage is away no input can be fetched,
        and what was done would be done again. Raises StorageError where it stays away, or never was there."""
        give_up_at = time.monotonic() + RESUME_SECONDS
        while not self.stopped.is_set():
            try:
                self.outcomes = read_noted(self.manifest["outcomes_read_url"])
            except StorageError as error:
                if error.status != 404:
                    complain(f"What was done before is not known: {error}")
                if error.is_passing and time.monotonic() < give_up_at:
                    continue
                if error.is_passing or error.status is None:
                    raise
            self.is_saved = False
            return

    def find_left(self):
        """The files that have not succeeded and have tries left."""
        known = [(file, self.outcomes.get(file["id"])) for file in self.manifest["tasks"]]
        most = self.manifest["max_tries"]
        return [file for file, one in known if one is None or (not succeeded(one) and one["tries"] < most)]

    def take(self, file):
        """Fetch, run and send one file, and note what became of it; nothing if the task is ended."""
        if self.stopped.is_set():
            return
        known = self.outcomes.get(file["id"])
        outcome = {"exit_code": None, "tries": (known["tries"] if known else 0) + 1, "seconds": None}
        outcome.update(category="", code="", message="", node_id=os.environ.get("AZ_BATCH_NODE_ID", ""))
        folder = os.path.join(self.folder, "files", file["id"])
        try:
            self.process(file, folder, outcome)
        except FileError as error:
            outcome.update(error.said)
        except Exception as error:
            # Whatever it is, of this file alone.
            outcome.update(category="ServerError", code="FileError", message=str(error))
        finally:
            # What it printed stays, for whoever looks at the node.
            shutil.rmtree(os.path.join(folder, "wd"), ignore_errors=True)
        if succeeded(outcome) or not self.stopped.is_set():
            self.note(file, outcome)

    def process(self, file, folder, outcome):
        """Raises FileError, and whatever else goes wrong."""
        prepare_folder(folder, self.task_folder, os.path.basename(self.folder))
        working = os.path.join(folder, "wd")
        for resource in file["resourceFiles"]:
            fetch_input(resource["httpUrl"], os.path.join(working, resource["filePath"]))
        try:
            self.run_program(file, folder, outcome)
            for output in select_outputs(file, {"tasksuccess"}):
                send_output(os.path.join(working, output["filePattern"]), output)
        except FileError as error:
            outcome.update(error.said)
        if not self.stopped.is_set():
            send_logs(file, working, "tasksuccess" if succeeded(outcome) else "taskfailure")

    def run_program(self, file, folder, outcome):
        """Run the command. Raises FileError if it fails."""
        with self.slots:
            if self.stopped.is_set():
                raise FileError("UserError", "TaskEnded", "The task was ended before the program was started")
            began = time.monotonic()
            try:
                exit_code, is_late = self.wait_for(start(file, folder))
            finally:
                # Never more than it took: so it does not begin before the one ahead of it has ended.
                outcome["seconds"] = int(1000 * (time.monotonic() - began)) / 1000
                outcome["ended_at"] = tell_time()
        if self.stopped.is_set():
            # What it has written need not be whole, though it may have ended well when it was asked to.
            raise FileError("UserError", "TaskEnded", "The task was ended")
        outcome["exit_code"] = exit_code
        if is_late:
            limit = f"The program ran for longer than its limit of {self.manifest['limit_seconds']:g} s"
            raise FileError("UserError", "TaskEnded", limit)
        if exit_code:
            message = "The program exited with a code that means a failure"
            raise FileError("UserError", "FailureExitCode", message)

    def wait_for(self, program):
        """The exit code of a program, and whether it was ended as it took too long."""
        with self.lock:
            self.programs.add(program)
        # The task may have been ended just before.
        if self.stopped.is_set():
            kill(program, signal.SIGTERM)
        try:
            code, is_late = program.wait(self.manifest["limit_seconds"]), False
        except subprocess.TimeoutExpired:
            code, is_late = end(program), True
        finally:
            with self.lock:
                self.programs.discard(program)
        # What it has left running.
        kill(program, signal.SIGKILL)
        return (code if code >= 0 else 128 - code), is_late

    def note(self, file, outcome):
        outcome.setdefault("ended_at", tell_time())
        with self.lock:
            self.outcomes[file["id"]], self.is_saved = outcome, False
        if not succeeded(outcome):
            complain(json.dumps([file["id"], outcome["exit_code"], outcome["code"], outcome["message"]]))

    def keep_saving(self, ended):
        while not ended.wait(SAVE_SECONDS):
            self.save()

    def save(self):
        """Note new outcomes beside the manifest and in their blob; one thread at a time, so that none
        overwrites what is newer."""
        with self.saving:
            with self.lock:
                if self.is_saved:
                    return
                content, self.is_saved = json.dumps(self.outcomes).encode(), True
            try:
                keep(os.path.join(self.folder, "outcomes.json"), self.manifest, content)
            except (OSError, StorageError) as error:
                self.is_saved = False
                complain(f"The outcomes are not kept: {error}")

    def stop(self):
        """End the programs, as the task is being ended. Files that are not done get no outcome."""
        self.stopped.set()
        for program in list(self.programs):
            kill(program, signal.SIGTERM)
        threading.Thread(target=self.give_up, daemon=True).start()

    def give_up(self):
        """What doesn't end in time is left. What is done is noted, unless that takes as long again."""
        time.sleep(GRACE_SECONDS)
        for program in list(self.programs):
            kill(program, signal.SIGKILL)
        saver = threading.Thread(target=self.save, daemon=True)
        saver.start()
        saver.join(GRACE_SECONDS)
        os._exit(ENDED)


def complain(said):
    print(said, file=sys.stderr, flush=True)


def tell_time():
    return datetime.now(timezone.utc).isoformat()


def succeeded(outcome):
    return outcome is not None and outcome["exit_code"] == 0 and not outcome["category"]


def prepare_folder(folder, task_folder, own_name):
    """A new working directory for one file, in which there is all that the task's own one has."""
    working = os.path.join(folder, "wd")
    shutil.rmtree(working, ignore_errors=True)
    os.makedirs(working)
    for name in os.listdir(task_folder):
        if name != own_name:
            os.symlink(os.path.join(task_folder, name), os.path.join(working, name))


def start(file, folder):
    """The program of a file, which leads a group of its own. Its working directory is the file's."""
    working = os.path.join(folder, "wd")
    environment = {**os.environ, **{one["name"]: one["value"] for one in file["environmentSettings"]}}
    environment["AZ_BATCH_TASK_WORKING_DIR"] = working
    stdout, stderr = (os.path.join(folder, log) for log in LOGS)
    with open(stdout, "wb") as out, open(stderr, "wb") as err:
        return subprocess.Popen(
            shlex.split(file["commandLine"]),
            cwd=working,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def send_logs(file, working, condition):
    """Send what is wanted of what the program has printed. That it can't be sent fails no file."""
    for output in select_outputs(file, {condition, "taskcompletion"} - {"tasksuccess"}):
        try:
            send_output(os.path.join(working, output["filePattern"]), output)
        except FileError as error:
            complain(f"{file['id']}: {error}")


def kill(program, number):
    """Send a signal to a program and all in its group."""
    try:
        os.killpg(program.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def end(program):
    """Ask a program to end, kill it after the grace; its exit code. One that hangs in the kernel is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        kill(program, number)
        try:
            return program.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    return -signal.SIGKILL


if __name__ == "__main__":
    sys.exit(main(sys.argv))
