/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRID_VERSION_H
#define CRID_VERSION_H

/* CRID_VERSION comes from meson.build. */

/*
 * What goes into version_file: the version of CRI-O whose on-disk state this is. CRI-O removes all pods
 * when major or minor differ from its own.
 */
#define CRIO_COMPAT_VERSION "1.37.0"

#endif
