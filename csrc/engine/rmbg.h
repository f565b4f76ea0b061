/* SPDX-License-Identifier: Apache-2.0 */
/* The C interface: an engine behind a handle, error codes, no exceptions. docs/cpp.md explains it.
 *
 *   rmbg_engine* engine = NULL;
 *   if (rmbg_open("u2netp.rmbg", NULL, &engine) != RMBG_OK) return fail(rmbg_last_error());
 *   rmbg_image frame = {pixels, width, height, stride, RMBG_RGB8};
 *   rmbg_image alpha = {mask, width, height, width, RMBG_GRAY8};
 *   if (rmbg_run(engine, &frame, NULL, &alpha) != RMBG_OK) return fail(rmbg_last_error());
 *   rmbg_close(engine);
 *
 * Any number of threads may call rmbg_run() with one engine at once. Structs of options begin with their size and are
 * otherwise 0 for defaults: rmbg_frame_options options = {.size = sizeof options};
 * Later versions add fields at the end. */
#ifndef RMBG_H
#define RMBG_H

#include <stddef.h>
#include <stdint.h>

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rmbg_status {
  RMBG_OK = 0,
  RMBG_INVALID = 1,     /* an argument is wrong */
  RMBG_BAD_MODEL = 2,   /* the file is missing, damaged or of another version */
  RMBG_UNAVAILABLE = 3, /* the processor or this build lacks what was asked for */
  RMBG_FAILED = 4,      /* the network failed */
  RMBG_NO_MEMORY = 5
} rmbg_status;

/* 8 bits a channel, channels side by side in the order of the name. */
typedef enum rmbg_format {
  RMBG_GRAY8 = 0,
  RMBG_BGR8 = 1,
  RMBG_RGB8 = 2,
  RMBG_BGRA8 = 3,
  RMBG_RGBA8 = 4,
  /* Frames only: luma rows above chroma rows in one block of 3/2 the height; height is that of the luma, and even. The
   * name gives matrix and range; the result's format gives the order of its colours. */
  RMBG_NV12_BT601 = 16,
  RMBG_NV12_BT709 = 17,
  RMBG_NV12_BT601_FULL = 18,
  RMBG_NV12_BT709_FULL = 19
} rmbg_format;

typedef enum rmbg_output {
  RMBG_ALPHA = 0,    /* 1 channel */
  RMBG_CUTOUT = 1,   /* 4 channels: the frame's colours with alpha */
  RMBG_COMPOSITE = 2 /* 3 channels: the frame over a background */
} rmbg_output;

typedef enum rmbg_precision { RMBG_AUTO = 0, RMBG_FP32 = 1, RMBG_BF16 = 2 } rmbg_precision;

/* Rows of width pixels, stride bytes apart. The memory is the caller's. */
typedef struct rmbg_image {
  void* data;
  int width, height;
  ptrdiff_t stride;
  int format; /* rmbg_format */
} rmbg_image;

typedef struct rmbg_engine_options {
  size_t size;   /* sizeof(rmbg_engine_options) */
  int precision; /* rmbg_precision */
  int slots;     /* frames that run at once; 0 means 1 */
  /* The range of probabilities that becomes alpha 0 to 255; {0, 1} keeps the probability, as video wants it. Both 0: as
   * the model file says, usually the range of each matte. */
  float stretch_low, stretch_high;
} rmbg_engine_options;

typedef struct rmbg_frame_options {
  size_t size;                  /* sizeof(rmbg_frame_options) */
  int output;                   /* rmbg_output */
  int refine;                   /* not 0: alpha follows the frame's colours */
  int decontaminate;            /* not 0: remove the old background's colours from the edge */
  int premultiplied;            /* not 0: multiply a cutout's colours by alpha */
  uint8_t color[3];             /* of a composite's background, in the frame's order */
  float blur_sigma;             /* above 0: the blurred frame is the background; in pixels */
  const rmbg_image* background; /* an image of the frame's size with 3 channels, or NULL */
} rmbg_frame_options;

typedef struct rmbg_engine rmbg_engine;

/* Opens a model file. options may be NULL. On failure *engine is NULL. */
RMBG_API int rmbg_open(const char* path, const rmbg_engine_options* options, rmbg_engine** engine);

/* Removes the background from one frame. options may be NULL, for alpha. result: the frame's size, the output's
 * channels, the frame's order of colours. The engine stays usable after a failure. */
RMBG_API int rmbg_run(rmbg_engine* engine, const rmbg_image* frame, const rmbg_frame_options* options,
                      const rmbg_image* result);

/* Frees an engine, once no thread uses it. NULL does nothing. */
RMBG_API void rmbg_close(rmbg_engine* engine);

/* The message of the last failed call in this thread, valid until the next failure in it; empty if there was none. */
RMBG_API const char* rmbg_last_error(void);

/* Which precision the engine computes in, and why, such as "fp32: it was asked for". Valid while it is open. */
RMBG_API const char* rmbg_description(const rmbg_engine* engine);

/* The library's version, such as "0.2.0". */
RMBG_API const char* rmbg_version(void);

#ifdef __cplusplus
}
#endif
#endif
