#!/bin/sh
# Makes the secrets that compose.yaml needs, in the folder secrets beside it or in the one that
# is named. It changes no file that is there, and prints no secret.
#
# The folder is for its owner alone. The files in it can be read by all users, because the
# containers read them as users that this machine does not know.
set -eu
umask 077
here=$(dirname "$0")
dir=${1:-$here/secrets}
mkdir -p "$dir"
chmod 700 "$dir"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

[ -s "$dir/dodo_proof_secret" ] || random >"$dir/dodo_proof_secret"
if ! [ -s "$dir/redis_password" ] || ! [ -s "$dir/redis_users" ]; then
	random >"$dir/redis_password"
	hash=$(sha256sum <"$dir/redis_password" | cut -d ' ' -f 1)
	sed "s/HASH/$hash/" "$here/redis/users.acl" >"$dir/redis_users"
fi
chmod 444 "$dir/dodo_proof_secret" "$dir/redis_password" "$dir/redis_users"

missing=
for name in dodo_api_key dodo_webhook_secret; do
	if [ -s "$dir/$name" ]; then
		chmod 444 "$dir/$name"
	else
		missing="$missing $dir/$name"
	fi
done
[ -z "$missing" ] || {
	echo "secrets.sh: write the values from Dodo's dashboard into:$missing" >&2
	exit 1
}
