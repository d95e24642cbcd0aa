"""A stand-in for the BitOps pipeline: `main.py deploy [-c FILE]`. See README.md one directory up."""

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

import yaml

# As in BitOps, all configs are read when the module is loaded: a broken config ends the run here.
OPS_REPO = os.environ.get("STANDIN_OPS_REPO", "/opt/bitops_deployment")
ENVIRONMENT = os.environ.get("BITOPS_ENVIRONMENT", os.environ.get("ENVIRONMENT"))
PLUGINS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "installed_plugins")


def load(path):
    """Returns the YAML document of a file, parsed by the loader that BitOps uses."""
    with open(path, encoding="utf8") as stream:
        return yaml.load(stream, Loader=yaml.FullLoader)


def load_if_there(path):
    """Returns the same as `load`, or None if there is no such file."""
    try:
        return load(path)
    except FileNotFoundError:
        return None


def dig(document, *keys):
    """Returns the value below a chain of keys, or None if a key is missing."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def first(*values):
    """Returns the first value that is not None, even if it is empty."""
    return next((value for value in values if value is not None), None)


def tree(root):
    """Returns every path below `root` with its kind, mode and text, following symlinks."""
    entries = {}

    def visit(directory, prefix, ancestors):
        for name in sorted(os.listdir(directory)):
            path, shown = os.path.join(directory, name), prefix + name
            entry = {"link": os.readlink(path)} if os.path.islink(path) else {}
            entries[shown] = entry
            try:
                status = os.stat(path)
            except OSError:
                entry["kind"] = "dangling"
                continue
            entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
            if stat.S_ISDIR(status.st_mode):
                entry["kind"] = "directory"
                identity = (status.st_dev, status.st_ino)
                if identity not in ancestors:
                    visit(path, shown + "/", ancestors | {identity})
            elif stat.S_ISREG(status.st_mode):
                entry["kind"] = "file"
                with open(path, encoding="utf8", errors="backslashreplace") as file:
                    entry["text"] = file.read()
            else:
                entry["kind"] = "special"

    if os.path.isdir(root):
        visit(root, "", frozenset())
    return entries


def dump(path):
    """Writes this process's input to `path` by a rename, so that a reader sees all of it or nothing."""
    seen = {
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "env": dict(os.environ),
        "ops_repo": tree(OPS_REPO),
        "pid": os.getpid(),
    }
    with open(path + ".new", "w", encoding="utf8") as file:
        json.dump(seen, file)
    os.rename(path + ".new", path)


def fail(message, code=1):
    """Ends the run."""
    print(f"ERROR: {message}", file=sys.stderr)
    sys.exit(code)


def run(command):
    """Runs a stage with both outputs in one pipe, passes them on line by line, and returns its exit code.

    The code is negative for a signal.
    """
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for line in process.stdout:
                sys.stdout.write(line)
    except Exception as error:
        fail(f"{os.path.basename(command[1])} could not be run: {error}", 101)
    return process.returncode


def stage(command):
    """Runs a stage; a failing one ends the run with its code, unless failures are to be ignored."""
    code = run(command)
    if code != 0 and FAIL_FAST:
        fail(f"{os.path.basename(command[1])} failed", code)


def run_hooks(deployment_dir, folder):
    """Runs the scripts of a hook folder in the deployment, in the order of their names, executable or not."""
    hooks = os.path.join(deployment_dir, folder)
    if not os.path.isdir(hooks):
        return
    before = os.getcwd()
    os.chdir(deployment_dir)
    for name in sorted(os.listdir(hooks)):
        print(f"HOOK {folder}/{name}")
        script = os.path.join(hooks, name)
        # BitOps writes the mode in decimal.
        os.chmod(script, 775)
        stage(["bash", script])
    os.chdir(before)


def run_deployment(name, plugin, environment_dir):
    """Runs one deployment: the hooks before, the plugin's deploy.sh, the hooks after."""
    deployment_dir = os.path.join(environment_dir, name)
    if not os.path.isdir(deployment_dir):
        print(f"SKIP {name}: no such directory in {ENVIRONMENT}")
        return
    plugin_dir = os.path.join(PLUGINS, plugin)
    if not os.path.isfile(os.path.join(plugin_dir, "deploy.sh")):
        fail(f"the plugin {plugin} has no deploy.sh")

    # A plugin may itself read its deployments' configs and run their hooks, as BitOps' helm plugin does.
    own = dig(load_if_there(os.path.join(plugin_dir, "plugin.config.yaml")), "plugin", "deployment") or {}
    cli = {}
    if own.get("core_schema_parsing", True):
        config = os.path.join(deployment_dir, "bitops.config.yaml")
        if not os.path.isfile(config):
            fail(f"{name} has no bitops.config.yaml", 2)
        cli = dig(load(config), plugin, "cli") or {}

    os.environ["BITOPS_INSTALLED_PLUGIN_DIR"] = plugin_dir
    os.environ["BITOPS_OPSREPO_ENVIRONMENT_DIR"] = deployment_dir
    os.environ["BITOPS_PLUGIN_NAME"] = plugin
    os.environ[f"BITOPS_{plugin.upper()}_CLI"] = " ".join(f"--{key}={value}" for key, value in cli.items())

    print(f"DEPLOYMENT {name} ({plugin})")
    if own.get("before_hook_scripts", True):
        run_hooks(deployment_dir, "bitops.before-deploy.d")
    stage(["bash", os.path.join(plugin_dir, "deploy.sh"), str(cli.get("stack-action", ""))])
    if own.get("after_hook_scripts", True):
        run_hooks(deployment_dir, "bitops.after-deploy.d")


def deploy():
    """Runs all deployments."""
    if ENVIRONMENT is None:
        fail("The 'BITOPS_ENVIRONMENT' variable must be set! Exiting...")
    if not os.path.isdir(OPS_REPO):
        fail("An operations repo needs to be mounted to the Docker container with the path `/opt/bitops_deployment/`")

    temp_dir = tempfile.mkdtemp()
    shutil.copytree(OPS_REPO, temp_dir, dirs_exist_ok=True)
    environment_dir = os.path.join(temp_dir, ENVIRONMENT)
    os.environ["BITOPS_TEMPDIR"] = temp_dir
    os.environ["BITOPS_ENVROOT"] = environment_dir
    os.environ["BITOPS_DIR"] = os.path.dirname(os.path.dirname(PLUGINS))
    os.environ["BITOPS_SCRIPTS_DIR"] = os.path.dirname(PLUGINS)
    os.environ["BITOPS_PLUGINS_DIR"] = PLUGINS + "/"
    os.environ["BITOPS_FAIL_FAST"] = str(FAIL_FAST)
    os.environ["BITOPS_KUBE_CONFIG_FILE"] = os.path.join(temp_dir, ".kube/config")
    os.environ["BITOPS_DEFAULT_ROOT_DIR"] = dig(BUILD_CONFIG, "bitops", "default_folder") or "_default"

    # An empty mapping counts as a list without deployments; no other config is read.
    deployments = first(dig(USER_CONFIG, "bitops", "deployments"), dig(BUILD_CONFIG, "bitops", "deployments"))
    if deployments is None:
        fail("No 'deployments' config found. Exiting...")
    for name, deployment in deployments.items():
        run_deployment(name, deployment["plugin"], environment_dir)
    shutil.rmtree(temp_dir)
    print("BitOps has finished!")


if "STANDIN_DUMP" in os.environ:
    dump(os.environ["STANDIN_DUMP"])

PARSER = argparse.ArgumentParser()
PARSER.add_argument("-c", "--bitops_config_file")
ARGUMENTS, _ = PARSER.parse_known_args()
BUILD_CONFIG = load(
    first(os.environ.get("BITOPS_BUILD_CONFIG_YAML"), ARGUMENTS.bitops_config_file, "bitops.config.yaml")
)
USER_CONFIG = load_if_there(os.path.join(OPS_REPO, ENVIRONMENT or "", "bitops.config.yaml"))
# As in BitOps, any text in the variable counts as true, even "false".
FAIL_FAST = first(
    os.environ.get("BITOPS_FAST_FAIL"),
    dig(USER_CONFIG, "bitops", "fail_fast"),
    dig(BUILD_CONFIG, "bitops", "fail_fast"),
    True,
)

if __name__ == "__main__":
    # Line-buffered, because BitOps' image sets PYTHONUNBUFFERED.
    sys.stdout.reconfigure(write_through=True)
    if sys.argv[1:2] == ["deploy"]:
        deploy()
    else:
        print("Mode is not specified. Please use [main.py install|deploy]")
