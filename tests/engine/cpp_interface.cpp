// SPDX-License-Identifier: Apache-2.0
// The C++ interface: errors by class, threads, moves, networks of a program's own. Argument: a model of 48 x 64.
#include <rmbg/engine.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

constexpr int kWidth = 40, kHeight = 30;
using Bytes = std::vector<std::uint8_t>;

void check(bool truth, const char* what) {
  if (truth) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::exit(1);
}

template <typename Error, typename Call>
void refused(const std::string& words, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    check(std::string(error.what()).find(words) != std::string::npos, error.what());
    return;
  }
  check(false, words.c_str());
}

Bytes frame_bytes() {
  Bytes bytes(kWidth * kHeight * 3);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  return bytes;
}

Bytes alpha_of(rmbg::Engine& engine, const Bytes& frame) {
  Bytes alpha(kWidth * kHeight);
  engine.run({frame.data(), kWidth, kHeight, kWidth * 3, rmbg::PixelFormat::kRgb8}, {},
             {alpha.data(), kWidth, kHeight, kWidth, rmbg::PixelFormat::kGray8});
  return alpha;
}

void test_file(const std::string& path) {
  rmbg::EngineOptions options;
  options.slots = 2;
  rmbg::Engine engine(path, options);
  check(engine.info().width == 64 && engine.info().height == 48 && engine.info().slots == 2, "info");
  check(!engine.info().processor.empty() && !engine.info().reason.empty(), "reasons");
  const Bytes frame = frame_bytes(), expected = alpha_of(engine, frame);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) check(alpha_of(engine, frame) == expected, "the same bytes in each thread");
    });
  for (std::thread& thread : threads) thread.join();
  rmbg::Engine moved = std::move(engine);
  check(alpha_of(moved, frame) == expected, "the same bytes after a move");
}

void test_errors(const std::string& path) {
  refused<rmbg::ModelError>("cannot be read", [] { rmbg::Engine("/nowhere.rmbg"); });
  rmbg::EngineOptions options;
  options.slots = 0;
  refused<std::invalid_argument>("slots is 0", [&] { rmbg::Engine(path, options); });
  rmbg::Engine engine(path);
  const Bytes frame = frame_bytes();
  Bytes result(kWidth * kHeight * 3);
  rmbg::FrameOptions over;
  over.output = rmbg::Output::kComposite;
  over.background.kind = rmbg::BackgroundKind::kImage;
  over.background.image = {frame.data(), kWidth, kHeight, kWidth * 3, rmbg::PixelFormat::kBgr8};
  refused<std::invalid_argument>("the frame is RGB and the background BGR", [&] {
    engine.run({frame.data(), kWidth, kHeight, kWidth * 3, rmbg::PixelFormat::kRgb8}, over,
               {result.data(), kWidth, kHeight, kWidth * 3, rmbg::PixelFormat::kRgb8});
  });
}

/// Fills its output with the input's first value, which is -mean / std for a black frame; fails when asked to.
class OwnNetwork : public rmbg::Network {
 public:
  const rmbg::NetworkSpec& spec() const override { return spec_; }
  void bind(const rmbg::TensorView& input, const rmbg::TensorView& output) override {
    input_ = static_cast<const float*>(input.data);
    output_ = static_cast<float*>(output.data);
  }
  void enqueue(rmbg::Stream) override {
    if (fails) throw rmbg::NetworkError("it fails");
    for (int i = 0; i < 64; ++i) output_[i] = i < 32 ? input_[0] + 2.5f : 0.0f;
  }
  bool capturable() const override { return false; }
  bool fails = false;

 private:
  rmbg::NetworkSpec spec_{{"input", {1, 3, 8, 8}}, {"output", {1, 1, 8, 8}}};
  const float* input_ = nullptr;
  float* output_ = nullptr;
};

void test_own_network() {
  const auto network = std::make_shared<OwnNetwork>();
  rmbg::EngineOptions options;
  options.stretch = {0.0f, 1.0f};
  rmbg::Engine engine({network}, options);
  check(engine.info().precision == "custom" && engine.info().width == 8, "info of an own network");
  const Bytes black(kWidth * kHeight * 3);
  const Bytes alpha = alpha_of(engine, black);
  // Red: (0 - 0.485) / 0.229 + 2.5 = 0.38210, times 255 = 97.4, truncated.
  check(alpha.front() == 97 && alpha.back() == 0, "the network's probability");
  network->fails = true;
  refused<rmbg::NetworkError>("it fails", [&] { alpha_of(engine, black); });
  network->fails = false;
  check(alpha_of(engine, black) == alpha, "usable after a failure");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  test_file(arguments[1]);
  test_errors(arguments[1]);
  test_own_network();
  std::puts("fine");
}
