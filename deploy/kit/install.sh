#!/bin/sh
# Installs this box from the kit that this file lies in. Needs nothing but what every Debian and Ubuntu has.
#   sh install --key KEY.pem --inventory box.yml [further arguments of ansible-playbook, such as --check]
# KEY.pem is the public key of whoever makes the kits. It comes to the box by another way than the kit.
set -eu
umask 022
kit=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
tools=/opt/appliance/ansible

stop() {
	echo "error: $*" >&2
	exit 1
}

usage() {
	cat <<-EOF
		usage: sh $kit/install --key KEY.pem --inventory FILE [arguments of ansible-playbook]
		  --key KEY.pem     public key of the kit's maker, which comes to the box by another way than the kit
		  --inventory FILE  what this box is to be; $kit/ansible/inventory.example.yml is the pattern
		  --check           look for what is against the installation; the box stays as it is but for Python and Ansible
	EOF
}

# In any order: what is not this program's is handed on to ansible-playbook.
key='' inventory='' left=$#
while [ "$left" -gt 0 ]; do
	argument=$1
	shift
	left=$((left - 1))
	case $argument in
	-h | --help)
		usage
		exit 0
		;;
	--key | --inventory)
		[ "$left" -gt 0 ] || stop "$argument needs a file. Name it: $argument FILE"
		case $argument in --key) key=$1 ;; *) inventory=$1 ;; esac
		shift
		left=$((left - 1))
		;;
	--key=*) key=${argument#*=} ;;
	--inventory=*) inventory=${argument#*=} ;;
	*) set -- "$@" "$argument" ;;
	esac
done
# Relative names are those of where the caller stands; from here on this stands in the kit.
case $key in '' | /*) ;; *) key=$PWD/$key ;; esac
case $inventory in '' | /*) ;; *) inventory=$PWD/$inventory ;; esac
[ "$(id -u)" = 0 ] || stop "This must be run as root. Run: sudo sh $kit/install …"
[ -n "$key" ] || stop "No kit key. Name the public key file of the kit's maker: --key KEY.pem"
[ -f "$key" ] || stop "There is no kit key $key. Put the public key file of the kit's maker there, or name where it is."
[ -z "$inventory" ] || [ -f "$inventory" ] || stop "There is no inventory $inventory. Write it there, or name where it is."
[ -n "$inventory" ] || stop "No inventory. Copy $kit/ansible/inventory.example.yml, fill it in and name it: --inventory FILE"
command -v openssl >/dev/null || stop "openssl is missing. Install the Debian package openssl from the system's own medium."

# First of all, and before anything of the kit but this file is run. Links, pipes and devices have no digest, and
# Ansible would follow a link out of the kit to programs that nobody signed.
cd "$kit"
odd=$(find . ! -type f ! -type d | sed 's#^\./##' | head -n 1)
[ -z "$odd" ] || stop "The kit holds what is neither a file nor a directory: $odd. Do not use it; copy the kit again from its maker."
openssl dgst -sha256 -verify "$key" -signature SHA256SUMS.sig SHA256SUMS >/dev/null 2>&1 ||
	stop "The kit is not signed with $key. Do not use it; ask its maker."
sha256sum --quiet --strict --check SHA256SUMS >/dev/null 2>&1 ||
	stop "The kit was changed after it was signed, or its copy is damaged. Copy it again; do not use it as it is."
scratch=$(mktemp -d) || stop "Nothing can be written to ${TMPDIR:-/tmp}. Free some room there."
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
find . -type f ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig | sed 's#^\./##' | sort >"$scratch/there"
sed 's/^[0-9a-f]*  //' SHA256SUMS | sort >"$scratch/signed"
added=$(comm -23 "$scratch/there" "$scratch/signed" | head -n 1)
[ -z "$added" ] || stop "The kit holds a file that was not signed: $added. Remove it, or copy the kit again."

release=$(sed -n 's/^release = "\(.*\)"$/\1/p' kit.toml)
here=$(. /etc/os-release && echo "$ID-$VERSION_ID")
[ "$release" = "$here" ] || stop "The kit is for $release and this box runs $here. Use the kit for $here."

# Python and Ansible, from the kit alone. The kit's own signature stands for its packages.
wanted=$(sha256sum requirements-ansible.txt)
python=$(python3 -c 'import venv, ensurepip' 2>/dev/null && echo there || true)
ansible=$([ "$(cat "$tools/installed" 2>/dev/null)" = "$wanted" ] && echo there || true)
if [ -z "$python" ] || [ -z "$ansible" ]; then
	for place in / /var /opt "$scratch"; do
		free=$(df --output=avail --block-size=1M "$place" 2>/dev/null | sed -n '2s/ //gp')
		[ "$place" = "$scratch" ] && room=64 || room=1024
		[ "${free:-$room}" -ge "$room" ] ||
			stop "The disk of $place has $free MiB free and at least $room are needed to begin. Free some, or mount a larger disk there."
	done
fi
why() { # the cause of a failure, from what the program said
	cause=$(grep -m 1 -o 'No space left on device' "$scratch/log" || grep -E -m 1 '^(E:|ERROR:|Error:|\[ERROR\]:|dpkg: error)' "$scratch/log" || tail -n 1 "$scratch/log" || true)
	case $cause in
	'No space'*) echo 'the disk is full. Free some (df -h shows where), and run this again.' ;;
	*) echo "${cause:-it said nothing}. Mend that, and run this again." ;;
	esac
}
# Power that failed, or a kill, leaves packages half installed, and apt does nothing before they are finished.
broken=$({ ls -A /var/lib/dpkg/updates && dpkg --audit; } 2>/dev/null || true)
if [ -z "$python" ] || [ -n "$broken" ]; then
	mkdir -p "$scratch/lists/partial"
	echo "deb [trusted=yes] file:$kit/debs ./" >"$scratch/kit.list"
	apt="apt-get -q -o Dir::Etc::SourceList=$scratch/kit.list -o Dir::Etc::SourceParts=/dev/null"
	apt="$apt -o Dir::State::Lists=$scratch/lists -o APT::Sandbox::User=root"
	export DEBIAN_FRONTEND=noninteractive
	if [ -n "$broken" ]; then
		echo 'An installation of packages was interrupted. It is finished first: dpkg --configure -a'
		# What lacks a package that was still to come fails here, and is completed from the kit.
		dpkg --force-confold --configure -a >"$scratch/log" 2>&1 ||
			{ $apt update && $apt install -y --no-remove --fix-broken; } >"$scratch/log" 2>&1 ||
			stop "The packages that were interrupted cannot be finished: $(why)"
	fi
	if [ -z "$python" ]; then
		{ $apt update && $apt install -y --no-install-recommends python3 python3-venv python3-apt; } >"$scratch/log" 2>&1 ||
			stop "Python cannot be installed from the kit: $(why)"
	fi
fi
if [ -z "$ansible" ]; then
	rm -rf "$tools"
	{ python3 -m venv "$tools" &&
		"$tools/bin/python" -m pip --quiet --no-input --disable-pip-version-check install --no-index --no-deps \
			--require-hashes --find-links "$kit/wheels" --requirement requirements-ansible.txt; } >"$scratch/log" 2>&1 ||
		stop "Ansible cannot be installed from the kit: $(why)"
	echo "$wanted" >"$tools/installed"
fi
export LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$kit/ansible/ansible.cfg" PYTHONDONTWRITEBYTECODE=1

# To Ansible a group that nobody is in is nothing to do, and so a success.
ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1 "$tools/bin/ansible-inventory" --inventory "$inventory" --graph appliance \
	>"$scratch/graph" 2>"$scratch/log" && code=0 || code=$?
if grep -q 'Completely failed to parse' "$scratch/log"; then
	where=$(sed -n 's/^Origin: .*:\([0-9]*\):[0-9]*$/ near line \1/p' "$scratch/log" | head -n 1)
	stop "The inventory $inventory is no YAML that Ansible can read$where. Compare its indents and brackets with $kit/ansible/inventory.example.yml."
fi
# 5: there is no such group.
[ "$code" = 0 ] || [ "$code" = 5 ] || stop "Ansible cannot look at the inventory $inventory: $(why)"
grep -q -- '|--[^@]' "$scratch/graph" ||
	stop "The inventory $inventory names no box. It begins with appliance:, below that hosts:, and below that the box, as in $kit/ansible/inventory.example.yml."
# sudo forgets where an administrator is connected from. Preflight asks for it, so that nobody is cut off.
above=$PPID
while [ -z "${SSH_CONNECTION:-}" ] && [ "${above:-0}" -gt 1 ]; do
	SSH_CONNECTION=$(tr '\0' '\n' <"/proc/$above/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p' | head -n 1)
	above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$above/status" 2>/dev/null)
done
export SSH_CONNECTION
rm -rf "$scratch"
exec "$tools/bin/ansible-playbook" \
	--inventory "$inventory" --extra-vars "appliance_kit_dir=$kit appliance_kit_key_file=$key" "$kit/ansible/site.yml" "$@"
