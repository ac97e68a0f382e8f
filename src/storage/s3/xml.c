/* S3's answers are small documents of which only the leaves matter; expat reads them. */
#include "storage/s3/s3_int.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 4096 };

struct reader {
	XML_Parser parser;
	bool (*leaf)(void *arg, const char *name, const char *text);
	void *arg;
	bool is_leaf; /* nothing but text since the last start of an element */
	bool full;    /* more than fits */
	bool stopped;
	size_t n;
	char text[TEXT_SIZE];
};

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = arg;
	r->is_leaf = true;
	r->n = 0;
}

static void on_text(void *arg, const XML_Char *p, int n)
{
	struct reader *r = arg;
	if ((size_t)n >= TEXT_SIZE - r->n)
		r->full = true;
	else
		memcpy(r->text + r->n, p, (size_t)n);
	r->n += r->full ? 0 : (size_t)n;
}

static void on_end(void *arg, const XML_Char *name)
{
	struct reader *r = arg;
	const char *colon = strrchr(name, ':');
	r->text[r->n] = 0;
	if (r->is_leaf && !r->full && !r->stopped)
		r->stopped = !r->leaf(r->arg, colon ? colon + 1 : name, r->text);
	if (r->full || r->stopped)
		XML_StopParser(r->parser, XML_FALSE);
	r->is_leaf = false;
	r->n = 0;
}

silex_status slx_s3_xml(const void *p, size_t n, bool (*leaf)(void *arg, const char *name, const char *text), void *arg, silex_error *err)
{
	struct reader r = { .parser = XML_ParserCreate(NULL), .leaf = leaf, .arg = arg };
	if (!r.parser || n > INT32_MAX) {
		XML_ParserFree(r.parser);
		return slx_err_oom(err);
	}
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	enum XML_Status st = XML_Parse(r.parser, p, (int)n, 1);
	enum XML_Error why = XML_GetErrorCode(r.parser);
	unsigned long line = XML_GetCurrentLineNumber(r.parser);
	XML_ParserFree(r.parser);
	if (r.full)
		return slx_err(err, SILEX_INVALID, "line %lu: an element holds more than %d bytes", line, TEXT_SIZE - 1);
	if (st != XML_STATUS_OK && !r.stopped)
		return slx_err(err, SILEX_INVALID, "line %lu: %s", line, XML_ErrorString(why));
	return SILEX_OK;
}
