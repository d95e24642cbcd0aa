# Works, with a lock, as long as /out/state/$NAME.hold is there; an interrupt lets it save and let go.
touch "/out/state/$NAME.lock"
trap 'sleep 0.3; echo interrupted > "/out/state/$NAME.state"; rm "/out/state/$NAME.lock"; exit 1' INT
while [ -e "/out/state/$NAME.hold" ]; do sleep 0.05; done
rm "/out/state/$NAME.lock"
