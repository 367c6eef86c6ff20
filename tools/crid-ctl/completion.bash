# SPDX-License-Identifier: Apache-2.0
# bash completion for crid-ctl. Options and commands are taken from its help, so they never differ
# from the program; names come from the server, in silence when there is none.

_crid_ctl()
{
	local cur prev command='' word i
	local -a server=()

	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-e | --endpoint)
			server=(--endpoint "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		--timeout) ((i++)) ;;
		-*) ;;
		*)
			command=$word
			break
			;;
		esac
	done
	case $prev in
	-e | --endpoint | --log-dir)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		word=$(crid-ctl ${command:+"$command"} --help 2>/dev/null | grep -Eo -- '(^| )--?[a-z][a-z-]*' | sort -u)
	else
		case $command in
		'')
			word=$(crid-ctl --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
			;;
		exec | logs)
			word=$(crid-ctl "${server[@]}" ps -a -q 2>/dev/null)
			;;
		stop | rm | inspect)
			word=$(crid-ctl "${server[@]}" pods -q 2>/dev/null; crid-ctl "${server[@]}" ps -a -q 2>/dev/null)
			;;
		run | pull | images | rmi)
			word=$(crid-ctl "${server[@]}" images 2>/dev/null |
				awk 'NR > 1 && $2 != "<none>" { print $1 ":" $2 }')
			;;
		*) word='' ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
}
complete -F _crid_ctl crid-ctl
