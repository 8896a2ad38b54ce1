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

key='' inventory=''
while [ $# -gt 0 ]; do
	case $1 in
	--key) key=${2:-} && shift 2 || stop "--key needs a file." ;;
	--inventory) inventory=${2:-} && shift 2 || stop "--inventory needs a file." ;;
	*) break ;;
	esac
done
# Relative names are those of where the caller stands; from here on this stands in the kit.
case $key in '' | /*) ;; *) key=$PWD/$key ;; esac
case $inventory in '' | /*) ;; *) inventory=$PWD/$inventory ;; esac
[ "$(id -u)" = 0 ] || stop "This must be run as root. Run: sudo sh $kit/install …"
[ -r "$key" ] || stop "No kit key. Name the public key file of the kit's maker: --key KEY.pem"
[ -r "$inventory" ] || stop "No inventory. Copy $kit/ansible/inventory.example.yml, fill it in and name it: --inventory FILE"
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
find . -type f ! -name SHA256SUMS ! -name SHA256SUMS.sig | sed 's#^\./##' | sort >/tmp/kit-there.$$
sed 's/^[0-9a-f]*  //' SHA256SUMS | sort >/tmp/kit-signed.$$
added=$(comm -23 /tmp/kit-there.$$ /tmp/kit-signed.$$ | head -n 1)
rm -f /tmp/kit-there.$$ /tmp/kit-signed.$$
[ -z "$added" ] || stop "The kit holds a file that was not signed: $added. Remove it, or copy the kit again."

release=$(sed -n 's/^release = "\(.*\)"$/\1/p' kit.toml)
here=$(. /etc/os-release && echo "$ID-$VERSION_ID")
[ "$release" = "$here" ] || stop "The kit is for $release and this box runs $here. Use the kit for $here."

# Python and Ansible, from the kit alone. The kit's own signature stands for its packages.
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
	scratch=$(mktemp -d)
	mkdir -p "$scratch/lists/partial"
	echo "deb [trusted=yes] file:$kit/debs ./" >"$scratch/kit.list"
	apt="apt-get -q -o Dir::Etc::SourceList=$scratch/kit.list -o Dir::Etc::SourceParts=/dev/null"
	apt="$apt -o Dir::State::Lists=$scratch/lists -o APT::Sandbox::User=root"
	export DEBIAN_FRONTEND=noninteractive
	{ $apt update && $apt install -y --no-install-recommends python3 python3-venv python3-apt; } >"$scratch/log" 2>&1 ||
		stop "Python cannot be installed from the kit: $(grep '^E:' "$scratch/log" | head -n 1)"
	rm -rf "$scratch"
fi
wanted=$(sha256sum requirements-ansible.txt)
if [ "$(cat "$tools/installed" 2>/dev/null || true)" != "$wanted" ]; then
	rm -rf "$tools"
	python3 -m venv "$tools"
	"$tools/bin/python" -m pip --quiet --no-input --disable-pip-version-check install --no-index --no-deps \
		--require-hashes --find-links "$kit/wheels" --requirement requirements-ansible.txt ||
		stop "Ansible cannot be installed from the kit."
	echo "$wanted" >"$tools/installed"
fi
# sudo forgets where an administrator is connected from. Preflight asks for it, so that nobody is cut off.
above=$PPID
while [ -z "${SSH_CONNECTION:-}" ] && [ "${above:-0}" -gt 1 ]; do
	SSH_CONNECTION=$(tr '\0' '\n' <"/proc/$above/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p' | head -n 1)
	above=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$above/status" 2>/dev/null)
done
export SSH_CONNECTION
LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$kit/ansible/ansible.cfg" PYTHONDONTWRITEBYTECODE=1 exec "$tools/bin/ansible-playbook" \
	--inventory "$inventory" --extra-vars "appliance_kit_dir=$kit appliance_kit_key_file=$key" "$kit/ansible/site.yml" "$@"
