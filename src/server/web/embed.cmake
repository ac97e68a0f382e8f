# slx_web_embed(FOLDER OUT): writes OUT, a C file with every file of FOLDER by .incbin, its size, type and ETag, sorted by
# path. Done at configure time, again when a file changes, so that a build needs neither npm nor a generator program.
function(slx_web_embed folder out)
  file(GLOB_RECURSE paths RELATIVE ${folder} CONFIGURE_DEPENDS ${folder}/*)
  list(SORT paths)
  if(NOT paths)
    message(FATAL_ERROR "web/dist is empty: `make page` builds it")
  endif()
  find_program(SLX_GZIP gzip REQUIRED)
  set(type.html "text/html; charset=utf-8")
  set(type.js "text/javascript; charset=utf-8")
  set(type.css "text/css; charset=utf-8")
  set(type.svg "image/svg+xml")
  set(type.txt "text/plain; charset=utf-8")
  set(type.woff2 "font/woff2")
  set(data "")
  set(table "")
  set(i 0)
  foreach(path ${paths})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${path})
    file(SIZE ${folder}/${path} size)
    file(SHA256 ${folder}/${path} hash)
    string(SUBSTRING ${hash} 0 16 tag)
    string(REGEX MATCH "\\.[a-z0-9]+$" ext ${path})
    if(NOT DEFINED type${ext})
      message(FATAL_ERROR "web/dist/${path}: no content type is known for ${ext} (src/server/web/embed.cmake)")
    endif()
    set(gz ${CMAKE_CURRENT_BINARY_DIR}/${i}.gz)
    execute_process(COMMAND ${SLX_GZIP} -9nc ${folder}/${path} OUTPUT_FILE ${gz} COMMAND_ERROR_IS_FATAL ANY)
    file(SIZE ${gz} gz_size)
    string(APPEND data "INCLUDE(slx_web_${i}, \"${folder}/${path}\");\n")
    set(gz_name NULL)
    math(EXPR worth "${size} * 15 / 16")
    if(gz_size LESS worth)
      string(APPEND data "INCLUDE(slx_web_${i}_gz, \"${gz}\");\n")
      set(gz_name slx_web_${i}_gz)
    else()
      set(gz_size 0)
    endif()
    string(APPEND table "\t{\"/${path}\", \"${type${ext}}\", \"${tag}\", slx_web_${i}, ${size}, ${gz_name}, ${gz_size}},\n")
    math(EXPR i "${i} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT [[
#include "server/web/web_int.h"

#define INCLUDE(name, path) \
	__asm__(".pushsection .rodata\n.balign 16\n" #name ":\n.incbin \"" path "\"\n.popsection\n"); \
	extern const unsigned char name[] __attribute__((visibility("hidden")))

@data@
const struct slx_web_file slx_web_files[] = {
@table@};
const size_t slx_web_files_n = sizeof slx_web_files / sizeof *slx_web_files;
]])
endfunction()
