/* SPDX-License-Identifier: Apache-2.0 */
/* Raw RGB frames from standard input to RGBA (or gray alpha) on standard output, for a pipe between two FFmpegs:
 *
 *   ffmpeg -i in.mp4 -f rawvideo -pix_fmt rgb24 - | matte_frames u2netp.rmbg 1280 720 rgba |
 *     ffmpeg -f rawvideo -pix_fmt rgba -s 1280x720 -r 30 -i - -c:v prores_ks -pix_fmt yuva444p10le out.mov
 *
 * In C, over the C interface. */
#include <rmbg/rmbg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run(rmbg_engine* engine, int width, int height, int output) {
  const int channels = output == RMBG_CUTOUT ? 4 : 1;
  const size_t pixels = (size_t)width * (size_t)height;
  unsigned char *in = malloc(pixels * 3), *out = malloc(pixels * (size_t)channels);
  const rmbg_image frame = {in, width, height, (ptrdiff_t)width * 3, RMBG_RGB8};
  const rmbg_image result = {out, width, height, (ptrdiff_t)width * channels, channels == 4 ? RMBG_RGBA8 : RMBG_GRAY8};
  rmbg_frame_options options = {.size = sizeof options};
  int failed = in == NULL || out == NULL;
  size_t got = 0;

  options.output = output;
  while (!failed && (got = fread(in, 1, pixels * 3, stdin)) == pixels * 3) {
    failed = rmbg_run(engine, &frame, &options, &result) != RMBG_OK;
    if (failed) fprintf(stderr, "matte_frames: %s\n", rmbg_last_error());
    if (!failed && fwrite(out, 1, pixels * (size_t)channels, stdout) != pixels * (size_t)channels) {
      fprintf(stderr, "matte_frames: the output was closed\n");
      failed = 1;
    }
  }
  if (!failed && got != 0) {
    fprintf(stderr, "matte_frames: the input ends within a frame (%zu of %zu bytes)\n", got, pixels * 3);
    failed = 1;
  }
  free(in);
  free(out);
  return failed || fflush(stdout) != 0;
}

int main(int count, char** arguments) {
  rmbg_engine* engine = NULL;
  rmbg_engine_options options = {.size = sizeof options};
  const int width = count > 2 ? atoi(arguments[2]) : 0, height = count > 3 ? atoi(arguments[3]) : 0;
  const int output = count > 4 && strcmp(arguments[4], "gray") == 0 ? RMBG_ALPHA : RMBG_CUTOUT;
  int failed;

  if (count < 4 || count > 5 || width < 1 || height < 1 || width > 32768 || height > 32768) {
    fprintf(stderr, "usage: matte_frames MODEL.rmbg WIDTH HEIGHT [rgba|gray] < frames > results\n");
    return 2;
  }
  options.stretch_high = 1; /* keep the probability: a stretch of each frame flickers */
  if (rmbg_open(arguments[1], &options, &engine) != RMBG_OK) {
    fprintf(stderr, "matte_frames: %s\n", rmbg_last_error());
    return 1;
  }
  failed = run(engine, width, height, output);
  rmbg_close(engine);
  return failed;
}
