#!/usr/bin/env bash
# A conversation over HTTP, with nothing but curl.
#
# Registers two users, logs one of them in again, opens a direct managed
# conversation, sends a message each way and reads the history back.
#
#   RUGGINE_URL=http://127.0.0.1:8443 ./curl.sh
#
# It makes new users each time, so it can be run again and again; a server with
# the default limits takes ten registrations from one address at once, then one
# every six minutes.
# Needs bash, curl and, to read fields of JSON, python3.
set -euo pipefail

url=${RUGGINE_URL:-http://127.0.0.1:8443}
url=${url%/}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "failed: $*" >&2
  exit 1
}

# field PATH: one value of the JSON on standard input, for example `tokens.access`.
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[int(key)] if isinstance(value, list) else value[key]
print(value if isinstance(value, str) else json.dumps(value))
' "$1" 2>/dev/null || fail "the answer has no field $1"
}

# post OPERATION TOKEN REQUEST: calls an operation. The status goes to $status,
# the answer to $answer. Secrets travel in files, not on command lines.
post() {
  local headers=(-H 'Content-Type: application/json')
  if [ -n "$2" ]; then
    printf 'Authorization: Bearer %s\n' "$2" >"$work/headers"
    headers+=(-H "@$work/headers")
  fi
  status=$(printf '%s' "$3" | curl -sS -X POST "${headers[@]}" --max-time 30 \
    --data-binary @- -o "$work/answer" -w '%{http_code}' "$url/v1/$1") ||
    fail "$1: no answer from $url"
  answer=$(cat "$work/answer")
}

# call OPERATION TOKEN REQUEST: the same, and anything but success ends the script.
call() {
  post "$@"
  [ "$status" = 200 ] || fail "$1: HTTP $status $answer"
}

# expect WHAT FOUND WANTED
expect() {
  [ "$2" = "$3" ] || fail "$1: expected $3, found $2"
}

new_id() {
  python3 -c 'import uuid; print(uuid.uuid4())'
}

random() {
  od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'
}

run=$(random 5)
ada="ada.$run"
bob="bob.$run"
password="$(random 8) $(random 8)"

# --- Accounts -----------------------------------------------------------------

call account.register '' "{\"username\":\"$ada\",\"password\":\"$password\",\"device_name\":\"curl\"}"
ada_device=$(field device <<<"$answer")
ada_secret=$(field device_secret <<<"$answer")

call account.register '' "{\"username\":\"$bob\",\"password\":\"$password\",\"display_name\":\"Bob\"}"
bob_id=$(field user.id <<<"$answer")
bob_token=$(field tokens.access <<<"$answer")

# Logging in again as the same device keeps its cursors and its message ids.
call account.login '' "{\"username\":\"$ada\",\"password\":\"$password\",
  \"device\":{\"id\":\"$ada_device\",\"secret\":\"$ada_secret\"}}"
expect 'the device after a login' "$(field device <<<"$answer")" "$ada_device"
ada_token=$(field tokens.access <<<"$answer")
echo "registered $ada and $bob"

# --- A conversation -------------------------------------------------------------

call user.lookup "$ada_token" "{\"username\":\"$bob\"}"
expect 'the id of the user who was looked up' "$(field id <<<"$answer")" "$bob_id"

create="{\"kind\":\"direct\",\"mode\":\"managed\",\"members\":[\"$bob_id\"]}"
call conversation.create "$ada_token" "$create"
conversation=$(field id <<<"$answer")
call conversation.create "$ada_token" "$create"
expect 'the conversation when it is created twice' "$(field id <<<"$answer")" "$conversation"
echo "conversation $conversation"

# --- Messages -------------------------------------------------------------------

# The sender names each message. Sent again after a lost answer, the same name
# gets the same number and makes no second message.
message=$(new_id)
send="{\"conversation\":\"$conversation\",\"client_msg_id\":\"$message\",
  \"content\":{\"text\":{\"body\":\"Ciao Bob, sono Ada 🦀\"}}}"
call message.send "$ada_token" "$send"
first=$(field seq <<<"$answer")
call message.send "$ada_token" "$send"
expect 'the number of a message that is sent twice' "$(field seq <<<"$answer")" "$first"

call message.send "$bob_token" "{\"conversation\":\"$conversation\",\"client_msg_id\":\"$(new_id)\",
  \"content\":{\"text\":{\"body\":\"Ciao Ada!\"}}}"
expect 'the number of the next message' "$(field seq <<<"$answer")" "$((first + 1))"

# What somebody else may not do, and how a refusal looks.
post message.send 'nobody' "$send"
expect 'the status without a login' "$status" 401
expect 'the code without a login' "$(field error.code <<<"$answer")" unauthenticated

# --- The history ----------------------------------------------------------------

call message.page "$bob_token" "{\"conversation\":\"$conversation\",\"from\":{\"after\":0},\"as_content\":true}"
expect 'the newest number' "$(field head <<<"$answer")" "$((first + 1))"
python3 -c '
import json, sys
names = {sys.argv[1]: sys.argv[2]}
for item in json.load(sys.stdin)["items"]:
    row = item["row"]
    (kind, data), = row["content"].items()
    said = data["body"] if kind == "text" else "(%s)" % kind
    print("#%d %s: %s" % (row["seq"], names.get(row["sender"], sys.argv[3]), said))
' "$bob_id" "$bob" "$ada" <<<"$answer" >"$work/history" || fail 'the history could not be read'
cat "$work/history"
expect 'the history' "$(cat "$work/history")" "#1 $ada: (created)
#$first $ada: Ciao Bob, sono Ada 🦀
#$((first + 1)) $bob: Ciao Ada!"

call session.logout "$bob_token" '{}'
echo 'done'
