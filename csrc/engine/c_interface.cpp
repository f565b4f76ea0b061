// SPDX-License-Identifier: Apache-2.0
// The C interface over Engine: converts structs, and exceptions to codes. No exception leaves this file.
#include <cstring>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include "engine/engine.h"
#include "engine/rmbg.h"
#include "preprocess/nv12.h"

struct rmbg_engine {
  rmbg::Engine engine;
  std::string description;
};

namespace {

using rmbg::PixelFormat;

thread_local std::string last_error;
thread_local const char* last_error_text = "";

int fail(int status, const char* message) noexcept {
  try {
    last_error = message;
    last_error_text = last_error.c_str();
  } catch (...) {
    last_error_text = "out of memory";
  }
  return status;
}

/// Calls `body`. Exceptions become a status and the thread's message.
template <typename Body>
int guarded(Body&& body) noexcept {
  try {
    body();
    return RMBG_OK;
  } catch (const std::bad_alloc&) {
    return fail(RMBG_NO_MEMORY, "out of memory");
  } catch (const rmbg::ModelError& error) {
    return fail(RMBG_BAD_MODEL, error.what());
  } catch (const rmbg::UnavailableError& error) {
    return fail(RMBG_UNAVAILABLE, error.what());
  } catch (const std::invalid_argument& error) {
    return fail(RMBG_INVALID, error.what());
  } catch (const std::exception& error) {
    return fail(RMBG_FAILED, error.what());
  } catch (...) {
    return fail(RMBG_FAILED, "unknown error");
  }
}

void need(const void* pointer, const char* what) {
  if (pointer == nullptr) throw std::invalid_argument(std::string(what) + " is NULL");
}

/// The caller's struct, or defaults for NULL. A caller that was compiled with an older header gave fewer bytes.
template <typename Options>
Options copied(const Options* given, const char* what) {
  Options options{};
  if (given == nullptr) return options;
  if (given->size < sizeof(size_t) || given->size > 4096)
    throw std::invalid_argument(std::string(what) + ": size is " + std::to_string(given->size) +
                                "; expected the sizeof of the struct");
  std::memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
  return options;
}

PixelFormat format_of(int format, const char* what) {
  switch (format) {
    case RMBG_GRAY8:
      return PixelFormat::kGray8;
    case RMBG_BGR8:
      return PixelFormat::kBgr8;
    case RMBG_RGB8:
      return PixelFormat::kRgb8;
    case RMBG_BGRA8:
      return PixelFormat::kBgra8;
    case RMBG_RGBA8:
      return PixelFormat::kRgba8;
    default:
      throw std::invalid_argument(std::string(what) + ": format is " + std::to_string(format) +
                                  ", which is none of rmbg_format for it");
  }
}

std::optional<rmbg::YuvMatrix> matrix_of(int format) {
  switch (format) {
    case RMBG_NV12_BT601:
      return rmbg::bt601(false);
    case RMBG_NV12_BT709:
      return rmbg::bt709(false);
    case RMBG_NV12_BT601_FULL:
      return rmbg::bt601(true);
    case RMBG_NV12_BT709_FULL:
      return rmbg::bt709(true);
    default:
      return std::nullopt;
  }
}

template <typename View>
View to_view(const rmbg_image& image, const char* what) {
  return {static_cast<decltype(View::data)>(image.data), image.width, image.height, image.stride,
          format_of(image.format, what)};
}

/// Also sets options.nv12.
rmbg::ConstImageView frame_view(const rmbg_image& image, rmbg::FrameOptions& options) {
  options.nv12 = matrix_of(image.format);
  if (!options.nv12) return to_view<rmbg::ConstImageView>(image, "frame");
  if (image.height < 2 || image.height % 2 != 0 || image.height > (1 << 30))
    throw std::invalid_argument("frame: NV12 of height " + std::to_string(image.height) + "; expected an even height");
  return {static_cast<const std::uint8_t*>(image.data), image.width, image.height / 2 * 3, image.stride,
          PixelFormat::kGray8};
}

rmbg::Output output_of(int output) {
  if (output < RMBG_ALPHA || output > RMBG_COMPOSITE)
    throw std::invalid_argument("output is " + std::to_string(output) + "; expected one of rmbg_output");
  return static_cast<rmbg::Output>(output);  // in the same order
}

rmbg::FrameOptions to_options(const rmbg_frame_options& given) {
  rmbg::FrameOptions options;
  options.output = output_of(given.output);
  options.refine = given.refine != 0;
  options.decontaminate = given.decontaminate != 0;
  options.premultiplied = given.premultiplied != 0;
  options.blur_sigma = given.blur_sigma;
  std::memcpy(options.background.color, given.color, sizeof given.color);
  if (given.background != nullptr) {
    options.background.kind = rmbg::BackgroundKind::kImage;
    options.background.image = to_view<rmbg::ConstImageView>(*given.background, "background");
  }
  return options;
}

rmbg::EngineOptions to_options(const rmbg_engine_options& given) {
  rmbg::EngineOptions options;
  if (given.precision < RMBG_AUTO || given.precision > RMBG_BF16)
    throw std::invalid_argument("precision is " + std::to_string(given.precision) + "; expected one of rmbg_precision");
  options.precision = static_cast<rmbg::EnginePrecision>(given.precision);  // in the same order
  if (given.slots != 0) options.slots = given.slots;
  if (given.stretch_low != 0 || given.stretch_high != 0) options.stretch = {given.stretch_low, given.stretch_high};
  return options;
}

}  // namespace

int rmbg_open(const char* path, const rmbg_engine_options* options, rmbg_engine** engine) {
  return guarded([&] {
    need(engine, "engine");
    *engine = nullptr;
    need(path, "path");
    auto opened = std::make_unique<rmbg_engine>(
        rmbg_engine{rmbg::Engine(path, to_options(copied(options, "rmbg_engine_options"))), ""});
    const rmbg::EngineInfo& info = opened->engine.info();
    opened->description = info.precision + ": " + info.reason;
    *engine = opened.release();
  });
}

int rmbg_run(rmbg_engine* engine, const rmbg_image* frame, const rmbg_frame_options* options,
             const rmbg_image* result) {
  return guarded([&] {
    need(engine, "engine");
    need(frame, "frame");
    need(result, "result");
    rmbg::FrameOptions converted = to_options(copied(options, "rmbg_frame_options"));
    const rmbg::ConstImageView view = frame_view(*frame, converted);
    engine->engine.run(view, converted, to_view<rmbg::ImageView>(*result, "result"));
  });
}

void rmbg_close(rmbg_engine* engine) { delete engine; }

const char* rmbg_last_error(void) { return last_error_text; }

const char* rmbg_description(const rmbg_engine* engine) { return engine == nullptr ? "" : engine->description.c_str(); }

const char* rmbg_version(void) { return rmbg::version(); }
