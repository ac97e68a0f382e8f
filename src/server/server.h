/* `silex serve`: the composition of the server. */
#ifndef SLX_SERVER_SERVER_H
#define SLX_SERVER_SERVER_H

#include "server/core/config.h"

struct slx_server_args {
	const char *config_file; /* NULL: none */
	const struct slx_config_set *set; /* of the command line */
	size_t n_set;
	bool check_only;  /* say whether the configuration is good, and end */
	bool print_only;  /* print it as YAML, and end */
	bool print_keys;  /* print the table of keys as Markdown, and end */
};

enum { SLX_SERVER_OK = 0, SLX_SERVER_FAILED = 1, SLX_SERVER_BAD_CONFIG = 2 };

/* Serves until SIGTERM or SIGINT; SIGHUP reloads the configuration. Returns the exit status (above), after saying on stderr why it is
 * not 0. Blocks these signals for the process. */
int slx_server_main(const struct slx_server_args *a);

#endif
