#include "app/app.h"

#include <string.h>

int main(int argc, char **argv)
{
	struct app a;
	app_init(&a);
	if (argc < 2) {
		app_help_all(stderr);
		return APP_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		argv[1] = "version";
	if (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0 && strcmp(argv[1], "help") != 0)
		return app_run(&a, argc - 1, argv + 1);
	if (argc > 2) { /* silex help import */
		char *help[] = { argv[2], "--help", NULL };
		return app_run(&a, 2, help);
	}
	app_help_all(stdout);
	return APP_OK;
}
