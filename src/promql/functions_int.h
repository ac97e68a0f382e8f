/* The functions of PromQL, for their table (private to promql/functions*.c). */
#ifndef SLX_PROMQL_FUNCTIONS_INT_H
#define SLX_PROMQL_FUNCTIONS_INT_H

#include "promql/promql_int.h"

#endif
