/* SPDX-License-Identifier: Apache-2.0 */
/* Results of plugins: what was accepted is accepted again in every version that has all of it. */
#include "private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const versions[] = { "1.1.0", "1.0.0", "0.4.0", "0.3.0", "0.2.0" };
	_cleanup_json_ struct json_doc *doc = NULL;
	_cleanup_result_ struct cnic_result *result = NULL;

	if (json_parse((const char *)data, size, 0, &doc, NULL) ||
	    result_parse(json_root(doc), "1.0.0", &result, NULL))
		return 0;
	for (size_t i = 0; i < cnic_result_ip_count(result); i++)
		if (strchr(cnic_result_ip(result, i), '/'))
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		_cleanup_json_ struct json_doc *out = json_doc_new();
		_cleanup_result_ struct cnic_result *again = NULL;

		if (result_parse(result_as(result, versions[i], out), "x", &again, NULL))
			abort();
		if (i < 2 && strcmp(cnic_result_json(result), cnic_result_json(again)) != 0)
			abort();
	}
	return 0;
}
