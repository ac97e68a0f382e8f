/* SILEX_API marks what libsilex.so exports; everything else in it is hidden. SPDX-License-Identifier: MIT */
#ifndef SILEX_EXPORT_H
#define SILEX_EXPORT_H

#if defined(__GNUC__)
#define SILEX_API __attribute__((visibility("default")))
#else
#define SILEX_API
#endif

#endif
