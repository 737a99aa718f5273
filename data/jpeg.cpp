#include "data/jpeg.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <vector>

#include <jpeglib.h>
// jpeglib.h first: it declares what jerror.h needs.
#include <jerror.h>

#include "data/planes.h"
#include "dist/error.h"

namespace saddle {
namespace {

// Progressive files may name the same pixels again and again; encoders write ten scans.
constexpr int kMostScans = 100;
// Two bits are the least that Huffman codes a block of 8x8 with, one in progressive files.
constexpr int64_t kPixelsPerByte = 8 * 64 * 2;

// What libjpeg needs to live through a longjmp: everything with a destructor is here, nothing in `run`.
struct Jpeg {
  Jpeg(const std::string& name, std::string_view bytes) : name(name), bytes(bytes) {
    decoder.err = jpeg_std_error(&errors);
    decoder.client_data = this;
    errors.error_exit = [](j_common_ptr info) { of(info).leave(); };
    errors.output_message = [](j_common_ptr) {};
    errors.emit_message = [](j_common_ptr info, int level) {
      // libjpeg paints what is missing grey and warns; for training data that is damage.
      if (level < 0 && info->err->msg_code != JWRN_EXTRANEOUS_DATA) of(info).leave();
    };
    jpeg_create_decompress(&decoder);
    progress.progress_monitor = [](j_common_ptr info) {
      if (of(info).decoder.input_scan_number > kMostScans) of(info).leave("it has too many scans");
    };
    decoder.progress = &progress;
  }
  ~Jpeg() { jpeg_destroy_decompress(&decoder); }
  Jpeg(const Jpeg&) = delete;

  static Jpeg& of(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }

  [[noreturn]] void leave(const char* reason = nullptr) {
    if (reason)
      std::strncpy(message, reason, sizeof message - 1);
    else
      errors.format_message(reinterpret_cast<j_common_ptr>(&decoder), message);
    std::longjmp(on_error, 1);
  }

  // Runs one step of decoding; false if it ended in an error.
  bool survives(void (*step)(Jpeg&)) {
    if (setjmp(on_error)) return false;
    step(*this);
    return true;
  }

  void run(void (*step)(Jpeg&)) {
    require(survives(step), Exit::data, "{}: damaged JPEG: {}", name, message);
  }

  jpeg_decompress_struct decoder{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf on_error{};
  char message[JMSG_LENGTH_MAX] = "";
  const std::string& name;
  std::string_view bytes;
  std::vector<uint8_t> pixels;  // [H, W, components]
};

void read_header(Jpeg& jpeg) {
  jpeg_mem_src(&jpeg.decoder, reinterpret_cast<const unsigned char*>(jpeg.bytes.data()), jpeg.bytes.size());
  jpeg_read_header(&jpeg.decoder, TRUE);
}

void start(Jpeg& jpeg) {
  const int components = jpeg.decoder.num_components;
  jpeg.decoder.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg.decoder.dct_method = JDCT_ISLOW;  // the exact one, whatever the machine
  jpeg_start_decompress(&jpeg.decoder);
}

void read_rows(Jpeg& jpeg) {
  const size_t stride = size_t(jpeg.decoder.output_width) * size_t(jpeg.decoder.output_components);
  while (jpeg.decoder.output_scanline < jpeg.decoder.output_height) {
    JSAMPROW row = jpeg.pixels.data() + jpeg.decoder.output_scanline * stride;
    jpeg_read_scanlines(&jpeg.decoder, &row, 1);
  }
  jpeg_finish_decompress(&jpeg.decoder);
}

// In place, [.., 4] -> [.., 3]. Adobe's programs write ink inverted, and say that they are Adobe's.
void cmyk_to_rgb(std::vector<uint8_t>& pixels, bool inverted) {
  const uint8_t flip = inverted ? 0 : 255;
  for (size_t i = 0; 4 * i < pixels.size(); ++i) {
    const int light = pixels[4 * i + 3] ^ flip;
    for (size_t c = 0; c < 3; ++c)
      pixels[3 * i + c] = uint8_t(((pixels[4 * i + c] ^ flip) * light + 127) / 255);
  }
}

}  // namespace

torch::Tensor decode_jpeg(const std::string& name, std::string_view bytes) {
  Jpeg jpeg(name, bytes);
  jpeg.run(read_header);
  require_plausible(name, jpeg.decoder.image_height, jpeg.decoder.image_width, int64_t(bytes.size()),
                    kPixelsPerByte);
  jpeg.run(start);
  const int64_t height = jpeg.decoder.output_height, width = jpeg.decoder.output_width;
  int64_t channels = jpeg.decoder.output_components;
  jpeg.pixels.resize(size_t(height * width * channels));
  jpeg.run(read_rows);
  if (channels == 4) cmyk_to_rgb(jpeg.pixels, jpeg.decoder.saw_Adobe_marker), channels = 3;
  return to_planes(jpeg.pixels.data(), channels, height, width);
}

PictureInfo jpeg_info(const std::string& name, std::string_view bytes) {
  Jpeg jpeg(name, bytes);
  jpeg.run(read_header);
  return {.channels = jpeg.decoder.num_components == 1 ? 1 : 3,
          .height = jpeg.decoder.image_height,
          .width = jpeg.decoder.image_width};
}

}  // namespace saddle
