# SPDX-License-Identifier: Apache-2.0
# bash completion for the programs whose commands and options are all in their help, so that the two
# never differ. Arguments are completed as files.

_crid_tool()
{
	local cur program command='' word i

	program=${COMP_WORDS[0]}
	cur=${COMP_WORDS[COMP_CWORD]}
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]] &&
			"$program" --help 2>/dev/null | grep -Eq -- "^  ${COMP_WORDS[i]//[^a-z0-9-]/} "; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	if [[ $cur == -* ]]; then
		word=$("$program" ${command:+"$command"} --help 2>/dev/null | grep -Eo -- '(^| )--?[a-z][a-z-]*' | sort -u)
	elif [[ -z $command ]]; then
		word=$("$program" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
}
complete -o filenames -F _crid_tool cimage cnic cstore ocispec
