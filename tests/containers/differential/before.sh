# What people's hooks do, each thing under a name, so that its output can be compared between two images.
# It runs before terraform. D is the operations repo, T the pipeline's copy of it.
D=/opt/bitops_deployment T=$BITOPS_TEMPDIR E=$BITOPS_ENVIRONMENT
export LC_ALL=C GIT_CONFIG_GLOBAL=/tmp/gitconfig
git config --global --add safe.directory '*'
git config --global user.name hook
git config --global user.email hook@example.com
umask 022

# Runs the commands on stdin in a shell of their own.
action() {
  echo "=== $1"
  { (eval "$(cat)") 2>&1 || echo "exit code $?"; } | sed "s|$T|T|g"
}

# The state at the start, before anything is written.
action cwd <<<'pwd'
action env <<<'env | cut -d= -f1 | sort'
action env-of-bitops <<<'env | grep ^BITOPS_ | grep -v ^BITOPS_COMPOSE | sort'
action git-describe <<<'git -C $D describe --tags --dirty'
action git-status-clean <<<'git -C $D status --short'
action git-check-ignore <<<'git -C $D check-ignore -v a.log dev/terraform/.terraform/x'
action git-toplevel <<<'cd $D/dev && git rev-parse --show-toplevel'
action git-prefix <<<'cd $D/dev && git rev-parse --show-prefix --show-cdup'
action git-tracked <<<'git -C $D ls-files'
action git-in-copy <<<'git -C $T status --short --untracked-files=all; git -C $T log --format=%s'
action d-is-a-directory <<<'test -d $D; echo $?; test -w $D; echo $?'
action d-is-a-link <<<'test -L $D; echo $?'
action ls-d <<<'ls -ld $D | cut -c1'
action ls-d-slash <<<'ls -ld $D/ | cut -c1-10'
action ls-of-d <<<'ls -la $D | awk "NR > 1 { print \$1, \$3, \$4, \$NF }"'
action ls-of-environment <<<'ls -la $D/$E | awk "NR > 1 { print \$1, \$3, \$4, \$NF }"'
action ls-of-copy <<<'ls -la $T/$E/terraform | awk "NR > 1 { print \$1, \$3, \$4, \$NF }"'
action stat-d <<<'stat -c %F $D'
action stat-d-slash <<<'stat -c "%F %a %U" $D/'
action stat-d-followed <<<'stat -L -c "%F %a %U" $D'
action cd-dotdot <<<'cd $D/dev/.. && pwd'
action cd-physical <<<'cd $D && pwd -P'
action cd-dotdot-list <<<'cd $D/dev/terraform/../../prod && ls'
action realpath <<<'realpath $D $D/dev/mine.txt'
action realpath-relative <<<'realpath --relative-to=$D $D/dev/mine.txt; realpath --relative-to=$T $T/dev/terraform'
action readlink <<<'readlink $D'
action find-without-slash <<<'find $D -name mine.txt'
action find-with-slash <<<'find $D/ -name mine.txt'
action find-followed <<<'find -H $D -name mine.txt'
action find-all <<<'find $D/ -not -path "*/.git/*" | sort'
action find-links <<<'find $D/ -type l; find $T/ -type l'
action find-in-copy <<<'find $T/ -not -path "*/.git/*" -printf "%y %m %u:%g %P\n" | sort'
action du-without-slash <<<'[ "$(du -s $D | cut -f1)" -gt 0 ] || echo nothing'
action du-with-slash <<<'[ "$(du -s $D/ | cut -f1)" -gt 0 ] || echo nothing'
action grep <<<'grep -rl mine $D --exclude-dir=.git --exclude-dir=bitops.before-deploy.d | sort'
action grep-theirs <<<'grep -rl theirs $D --exclude-dir=.git --exclude-dir=bitops.before-deploy.d | sort'
action grep-in-copy <<<'grep -rl theirs $T --exclude-dir=.git --exclude-dir=bitops.before-deploy.d | sort'
action cat-theirs <<<'cat $D/$E/terraform/theirs.txt'
action cat-theirs-in-copy <<<'cat $T/$E/terraform/theirs.txt'
action cat-merged <<<'cat $D/$E/terraform/settings.json'
action cat-merged-in-copy <<<'cat $T/$E/terraform/settings.json'
action checksums-in-copy <<<'cd $T && find . -type f -not -path "./.git/*" -exec sha256sum {} + | sort -k2'
action diff-with-copy <<<'diff -rq $D $T --exclude=.git'
action own-files-equal <<<'for f in dev/mine.txt dev/terraform/main.tf README.md; do cmp $D/$f $T/$f && [ ! $D/$f -nt $T/$f ] && [ ! $D/$f -ot $T/$f ] && echo $f; done'
action times-in-copy <<<'stat -c "%Y %n" $T/README.md $T/dev/mine.txt $T/dev/terraform/main.tf $T/dev $T/prod $T'
action wc <<<'wc -l $T/$E/terraform/*.tf $D/README.md'
action walk <<<'python3 -c "
import os
for path, directories, files in os.walk(\"$D\"):
    directories[:] = sorted(set(directories) - {\".git\"})
    print(path, sorted(files))"'
action walk-copy <<<'python3 -c "
import os
for path, directories, files in os.walk(\"$T\"):
    directories[:] = sorted(set(directories) - {\".git\"})
    print(path, sorted(files))"'
action pathlib <<<'python3 -c "
from pathlib import Path
print((Path(\"$D\") / \"dev\").resolve().relative_to(\"$D\"))" 2>&1 | tail -1 | cut -c1-40'
action process-1 <<<'cat /proc/1/comm'
action stdin <<<'readlink /proc/$$/fd/0 | sed "s/[0-9]//g"'
# Of this very shell: while it starts a pipeline, the shell above has the pipe open for a moment.
action open-files <<<'set -- /proc/$BASHPID/fd/*; echo $#'
# But for the two that a C library keeps for itself, and may leave ignored in a process that it starts.
action signals <<<'python3 -c "
import signal
own = {32, 33}
print(sorted(set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) - own))
print([n for n in range(1, 65) if n not in own | {9, 19} and signal.getsignal(n) == signal.SIG_IGN])"'
action limits <<<'ulimit -n; umask; nice'
action mounts <<<'grep -E " /opt/" /proc/mounts | cut -d" " -f2 | sort'
action cp-without-slash <<<'cp -r $D /tmp/c1 && ls -ld /tmp/c1 | cut -c1'
action cp-with-dot <<<'cp -r $D/. /tmp/c2 && ls -d /tmp/c2 /tmp/c2/README.md'
action tar-without-slash <<<'tar -c -C /opt bitops_deployment | tar -t | grep -c mine.txt'
action tar-with-dot <<<'tar -c -C $D . | tar -t | grep -c mine.txt'

# What is written.
action write-outputs <<<'echo "vm_url=https://vm.example.com" > $D/bo-out.env'
action write-generated <<<'mkdir -p $D/generated_code/vm && cp $T/$E/terraform/main.tf $D/generated_code/vm/'
action write-kubeconfig <<<'echo "kind: Config" > $D/$E/kubeconfig && chmod 600 $D/$E/kubeconfig'
action write-merged <<<'echo "{\"new\": true}" > $D/$E/terraform/overwritten.json'
action append <<<'echo "one more line" >> $D/$E/appended.txt'
action sed-in-place <<<'sed -i s/mine/changed/ $D/$E/edited.txt'
action sed-merged <<<'sed -i "s/\"size\": 1/\"size\": 2/" $D/$E/terraform/settings.json; grep size $D/$E/terraform/settings.json'
action mv <<<'mv $D/$E/to-move $D/$E/moved && ls $D/$E/moved'
action mv-over <<<'echo replaced > $D/$E/new && mv $D/$E/new $D/$E/replaced.txt'
action rm <<<'rm -r $D/$E/to-remove'
action cp-into <<<'cp -r $T/$E/terraform/files $D/$E/copied'
action tar-into <<<'mkdir -p /tmp/pack/packed/deep && echo packed > /tmp/pack/packed/deep/file && tar -c -C /tmp/pack . | tar -x --no-same-owner -C $D/$E'
action rsync-into <<<'if command -v rsync >/dev/null; then rsync -r /tmp/pack/ $D/$E/synced; fi'
action mkdir <<<'mkdir -p $D/$E/made/deep && mkdir $D/$E/terraform/made'
action install <<<'install -D -m 750 $T/README.md $D/$E/installed/tool'
action symlink <<<'ln -s mine.txt $D/$E/link && readlink $D/$E/link && cat $D/$E/link'
action hard-link <<<'ln $D/$E/mine.txt $D/$E/hard && stat -c %h $D/$E/mine.txt'
action touch <<<'touch -r $D/README.md $D/$E/touched && [ ! $D/README.md -nt $D/$E/touched ] && echo same'
action chmod <<<'chmod -R g+w $D/$E/modes && stat -c %a $D/$E/modes $D/$E/modes/file'
action chown <<<'chown -R 1234:1235 $D/$E/owned && stat -c %u:%g $D/$E/owned $D/$E/owned/file'
action chown-all <<<'chown -R :4321 $D; stat -c %g $D/ $D/README.md'
action chown-all-slash <<<'chown -R :4322 $D/; stat -c %g $D/ $D/README.md'
action chmod-all <<<'chmod -R o+r $D; stat -c %a $D/dev/appended.txt'
action chmod-all-slash <<<'chmod -R o+r $D/; stat -c %a $D/dev/appended.txt'
action truncate <<<': > $D/$E/emptied.txt; stat -c %s $D/$E/emptied.txt'
action flock <<<'(flock -n 9 && echo held) 9> $D/.lock'
action terraform-files <<<'echo "# lock" > $T/$E/terraform/.terraform.lock.hcl; cp $T/$E/terraform/.terraform.lock.hcl $D/$E/terraform/; ls -A $D/$E/terraform | grep ^.terraform'
action ansible-retry <<<'echo host > $D/$E/site.retry; echo host > $T/$E/site.retry; ls $D/$E/*.retry $T/$E/*.retry'
action write-to-copy <<<'echo later > $T/$E/later; echo "export LATER=1" > $T/$E/env.sh'
action git-status <<<'git -C $D status --short'
action git-diff <<<'git -C $D diff --stat -- dev/edited.txt dev/appended.txt README.md'
action git-commit <<<'cd $D && git add -A && git commit -qm "by the hook" && git show --format=%s --name-status HEAD && git status --short'
action git-pull <<<'cd $D && git pull -q --rebase /out/remote.git main && git log --format=%s && git status --short && head -1 README.md'
action git-stash <<<'cd $D && echo x >> README.md && git stash -q && git stash pop -q && git checkout -q README.md && git status --short'
action git-clean <<<'cd $D && touch untracked && git clean -fd'
action git-worktree <<<'git -C $D worktree add -q /tmp/wt HEAD && ls /tmp/wt/prod/terraform && git -C $D worktree remove /tmp/wt'
action git-tag <<<'cd $D && git tag from-hook && git describe --tags'
echo "=== the pipeline"
