/* SPDX-License-Identifier: Apache-2.0 */
/* The C interface: codes, messages, defaults, structs of older programs. Arguments: a model of 48 x 64, a file that is
 * none. */
#include <pthread.h>
#include <rmbg/rmbg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kWidth = 40, kHeight = 30 };

static unsigned char frame_bytes[kWidth * kHeight * 4], result_bytes[kWidth * kHeight * 4];
static const rmbg_image frame = {frame_bytes, kWidth, kHeight, kWidth * 3, RMBG_RGB8};
static const rmbg_image alpha = {result_bytes, kWidth, kHeight, kWidth, RMBG_GRAY8};
static const rmbg_image cutout = {result_bytes, kWidth, kHeight, kWidth * 4, RMBG_RGBA8};
static const rmbg_image composite = {result_bytes, kWidth, kHeight, kWidth * 3, RMBG_RGB8};

static void expect(int line, int status, int expected, const char* words) {
  if (status == expected && (words == NULL || strstr(rmbg_last_error(), words) != NULL)) return;
  fprintf(stderr, "line %d: status %d, expected %d: %s\n", line, status, expected, rmbg_last_error());
  exit(1);
}
#define EXPECT(call, expected, words) expect(__LINE__, call, expected, words)
#define CHECK(truth) expect(__LINE__, (truth) ? 0 : -1, 0, NULL)

static void test_open(const char* model, const char* damaged) {
  rmbg_engine* engine = (rmbg_engine*)1;
  rmbg_engine_options options = {.size = sizeof options, .precision = RMBG_FP32, .slots = 2};
  CHECK(strlen(rmbg_last_error()) == 0);
  EXPECT(rmbg_open(NULL, NULL, &engine), RMBG_INVALID, "path is NULL");
  CHECK(engine == NULL);
  EXPECT(rmbg_open(model, NULL, NULL), RMBG_INVALID, "engine is NULL");
  EXPECT(rmbg_open("/nowhere.rmbg", NULL, &engine), RMBG_BAD_MODEL, "/nowhere.rmbg: cannot be read");
  EXPECT(rmbg_open(damaged, NULL, &engine), RMBG_BAD_MODEL, "is no rmbg-trt model file");
  EXPECT(rmbg_open(model, &options, &engine), RMBG_OK, NULL);
  CHECK(strcmp(rmbg_description(engine), "fp32: it was asked for") == 0);
  rmbg_close(engine);
  rmbg_close(NULL);
  CHECK(strlen(rmbg_description(NULL)) == 0);
  CHECK(strlen(rmbg_version()) >= 5);

  options.slots = 65;
  EXPECT(rmbg_open(model, &options, &engine), RMBG_INVALID, "slots is 65; expected 1 to 64");
  options.slots = 0;
  options.precision = 9;
  EXPECT(rmbg_open(model, &options, &engine), RMBG_INVALID, "precision is 9");
  options.precision = RMBG_AUTO;
  options.stretch_low = 0.5f;
  EXPECT(rmbg_open(model, &options, &engine), RMBG_INVALID, "expected 0 <= low < high <= 1");
  options.size = 2;
  EXPECT(rmbg_open(model, &options, &engine), RMBG_INVALID, "size is 2; expected the sizeof");
  options.size = offsetof(rmbg_engine_options, stretch_low); /* a program from before the field was added */
  EXPECT(rmbg_open(model, &options, &engine), RMBG_OK, NULL);
  rmbg_close(engine);
}

static void test_run(rmbg_engine* engine) {
  static unsigned char background_bytes[kWidth * kHeight * 3];
  const rmbg_image background = {background_bytes, kWidth, kHeight, kWidth * 3, RMBG_RGB8};
  rmbg_frame_options options = {.size = sizeof options};
  rmbg_image wrong = frame;
  int i;

  EXPECT(rmbg_run(NULL, &frame, NULL, &alpha), RMBG_INVALID, "engine is NULL");
  EXPECT(rmbg_run(engine, NULL, NULL, &alpha), RMBG_INVALID, "frame is NULL");
  EXPECT(rmbg_run(engine, &frame, NULL, NULL), RMBG_INVALID, "result is NULL");
  EXPECT(rmbg_run(engine, &frame, NULL, &cutout), RMBG_INVALID,
         "result is 40x30 with 4 channels; expected 40x30 with 1");
  wrong.data = NULL;
  EXPECT(rmbg_run(engine, &wrong, NULL, &alpha), RMBG_INVALID, "frame is empty");
  wrong = frame;
  wrong.format = 7;
  EXPECT(rmbg_run(engine, &wrong, NULL, &alpha), RMBG_INVALID, "frame: format is 7");
  wrong = frame;
  wrong.stride = 10;
  EXPECT(rmbg_run(engine, &wrong, NULL, &alpha), RMBG_INVALID, "rows are 10 bytes apart");
  wrong = frame;
  wrong.height = -5;
  EXPECT(rmbg_run(engine, &wrong, NULL, &alpha), RMBG_INVALID, "frame is empty");
  EXPECT(rmbg_run(engine, &frame, NULL, &alpha), RMBG_OK, NULL); /* still usable */

  options.output = RMBG_CUTOUT;
  EXPECT(rmbg_run(engine, &frame, &options, &cutout), RMBG_OK, NULL);
  for (i = 0; i < kWidth * kHeight; ++i) CHECK(memcmp(result_bytes + i * 4, frame_bytes + i * 3, 3) == 0);
  wrong = cutout;
  wrong.format = RMBG_BGRA8;
  EXPECT(rmbg_run(engine, &frame, &options, &wrong), RMBG_INVALID, "the frame is RGB and the result BGR");

  options.output = RMBG_COMPOSITE;
  memset(background_bytes, 9, sizeof background_bytes);
  options.background = &background;
  EXPECT(rmbg_run(engine, &frame, &options, &composite), RMBG_OK, NULL);
  options.background = NULL;
  options.blur_sigma = 3;
  EXPECT(rmbg_run(engine, &frame, &options, &composite), RMBG_OK, NULL);
  options.output = 3;
  EXPECT(rmbg_run(engine, &frame, &options, &composite), RMBG_INVALID, "output is 3");
}

static void test_nv12(rmbg_engine* engine) {
  static unsigned char planes[kWidth * kHeight * 3 / 2];
  rmbg_image nv12 = {planes, kWidth, kHeight, kWidth, RMBG_NV12_BT709};
  rmbg_frame_options options = {.size = sizeof options, .output = RMBG_CUTOUT};
  memset(planes, 235, kWidth * kHeight); /* white */
  memset(planes + kWidth * kHeight, 128, kWidth * kHeight / 2);
  EXPECT(rmbg_run(engine, &nv12, &options, &cutout), RMBG_OK, NULL);
  CHECK(result_bytes[0] == 255 && result_bytes[1] == 255 && result_bytes[2] == 255);
  nv12.height = 29;
  EXPECT(rmbg_run(engine, &nv12, &options, &cutout), RMBG_INVALID, "NV12 of height 29; expected an even height");
}

static void* in_thread(void* engine) {
  CHECK(strlen(rmbg_last_error()) == 0); /* errors of other threads stay there */
  EXPECT(rmbg_run(engine, &frame, NULL, NULL), RMBG_INVALID, "result is NULL");
  return NULL;
}

int main(int count, char** arguments) {
  rmbg_engine* engine = NULL;
  pthread_t thread;
  size_t i;

  if (count != 3) return 2;
  for (i = 0; i < sizeof frame_bytes; ++i) frame_bytes[i] = (unsigned char)(i * 7);
  test_open(arguments[1], arguments[2]);
  EXPECT(rmbg_open(arguments[1], NULL, &engine), RMBG_OK, NULL);
  test_run(engine);
  test_nv12(engine);
  EXPECT(rmbg_run(engine, NULL, NULL, NULL), RMBG_INVALID, "frame is NULL");
  CHECK(pthread_create(&thread, NULL, in_thread, engine) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(strstr(rmbg_last_error(), "frame is NULL") != NULL);
  rmbg_close(engine);
  puts("fine");
  return 0;
}
