#!/bin/bash
# generated.sh [SILEX]: writes anew what the program itself tells: completion scripts, the manual page, the table of keys in docs/configuration.md.
set -eu
cd "$(dirname "$0")/.."
silex=${1:-build/silex}
for shell in bash zsh fish; do
	case $shell in zsh) file=_silex ;; *) file=silex.$shell ;; esac
	"$silex" completion $shell >"packaging/completion/$file"
done
"$silex" completion man >packaging/man/silex.1
keys=$("$silex" serve --print-keys)
page=docs/configuration.md
{
	awk -v first="${keys%%$'\n'*}" '$0 == first { exit } { print }' $page
	printf '%s\n' "$keys"
} >$page.new
mv $page.new $page
