// Files of pictures for the tests of what reads them, made by the libraries' own writers.
#pragma once

#include <cstdio>
#include <cstdlib>
// After cstdio, which it forgets.
#include <jpeglib.h>
#include <tiffio.h>
#include <webp/encode.h>
#include <zlib.h>

#include <functional>
#include <string>

#include "dist/tensor.h"

namespace saddle::test {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string out;
  for (int k = 0; k < bytes; ++k) out += char(value >> (8 * k) & 255);
  return out;
}

inline std::string big_endian(uint64_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out += char(value >> (8 * bytes) & 255);
  return out;
}

// EXIF of one tag.
inline std::string exif_of(int orientation, bool little = false) {
  const auto number = little ? little_endian : big_endian;
  return (little ? std::string("II") : std::string("MM")) + number(42, 2) + number(8, 4) + number(1, 2) +
         number(0x0112, 2) + number(3, 2) + number(1, 4) + number(uint64_t(orientation), 2) + number(0, 2) +
         number(0, 4);
}

// `picture` is uint8 [1 | 3, H, W]; `exif` becomes a segment APP1.
inline std::string jpeg_of(const torch::Tensor& picture, const std::string& exif = "") {
  torch::Tensor rows = picture.permute({1, 2, 0}).contiguous();
  jpeg_compress_struct encoder{};
  jpeg_error_mgr errors{};
  encoder.err = jpeg_std_error(&errors);
  jpeg_create_compress(&encoder);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&encoder, &bytes, &size);
  encoder.image_height = JDIMENSION(rows.size(0));
  encoder.image_width = JDIMENSION(rows.size(1));
  encoder.input_components = int(rows.size(2));
  encoder.in_color_space = rows.size(2) == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&encoder);
  jpeg_set_quality(&encoder, 95, TRUE);
  jpeg_start_compress(&encoder, TRUE);
  const std::string segment = std::string("Exif\0\0", 6) + exif;
  if (!exif.empty())
    jpeg_write_marker(&encoder, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(segment.data()),
                      unsigned(segment.size()));
  while (encoder.next_scanline < encoder.image_height) {
    JSAMPROW row = rows[encoder.next_scanline].data_ptr<uint8_t>();
    jpeg_write_scanlines(&encoder, &row, 1);
  }
  jpeg_finish_compress(&encoder);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  jpeg_destroy_compress(&encoder);
  std::free(bytes);
  return out;
}

inline std::string png_chunk(const std::string& kind, const std::string& data) {
  const std::string body = kind + data;
  return big_endian(data.size(), 4) + body +
         big_endian(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size())), 4);
}

inline std::string riff(const std::string& chunks) {
  return "RIFF" + little_endian(chunks.size() + 4, 4) + "WEBP" + chunks;
}

inline std::string riff_chunk(const std::string& kind, const std::string& data) {
  return kind + little_endian(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}

// Lossless; `picture` is uint8 [3, H, W]. EXIF stands at the end, as it has to.
inline std::string webp_of(const torch::Tensor& picture, const std::string& exif = "") {
  const torch::Tensor rows = picture.permute({1, 2, 0}).contiguous();
  const int height = int(rows.size(0)), width = int(rows.size(1));
  uint8_t* bytes = nullptr;
  const size_t size = WebPEncodeLosslessRGB(rows.const_data_ptr<uint8_t>(), width, height, 3 * width, &bytes);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  constexpr int kHasExif = 8;
  const std::string about = little_endian(kHasExif, 4) + little_endian(uint64_t(width - 1), 3) +
                            little_endian(uint64_t(height - 1), 3);
  return exif.empty() ? out : riff(riff_chunk("VP8X", about) + out.substr(12) + riff_chunk("EXIF", exif));
}

// What a test says of a TIFF, beside its picture: tags, before the pixels are written.
using Tags = std::function<void(TIFF*)>;

struct Page {
  torch::Tensor picture;  // uint8 or uint16 [C, H, W]
  Tags tags = [](TIFF*) {};
};

inline void write_page(TIFF* tiff, const Page& page) {
  const torch::Tensor& picture = page.picture;
  const auto channels = uint32_t(picture.size(0)), height = uint32_t(picture.size(1)),
             width = uint32_t(picture.size(2));
  const auto depth = uint32_t(picture.element_size());
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8 * depth);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, channels);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, channels >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  const uint16_t opacity = EXTRASAMPLE_UNASSALPHA;
  if (channels % 2 == 0) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &opacity);
  page.tags(tiff);
  uint16_t planar = 0;
  TIFFGetField(tiff, TIFFTAG_PLANARCONFIG, &planar);
  const bool apart = planar == PLANARCONFIG_SEPARATE;
  const torch::Tensor rows = apart ? picture.contiguous() : picture.permute({1, 2, 0}).contiguous();
  const auto* bytes = static_cast<const uint8_t*>(rows.const_data_ptr());
  const uint32_t pixel = depth * (apart ? 1 : channels);
  for (uint32_t plane = 0; plane < (apart ? channels : 1); ++plane, bytes += height * width * pixel) {
    if (!TIFFIsTiled(tiff)) {
      for (uint32_t y = 0; y < height; ++y) {
        std::string row(reinterpret_cast<const char*>(bytes) + y * width * pixel, width * pixel);
        TIFFWriteScanline(tiff, row.data(), y, uint16_t(plane));
      }
      continue;
    }
    uint32_t wide = 0, high = 0;
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &wide);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &high);
    for (uint32_t y = 0; y < height; y += high)
      for (uint32_t x = 0; x < width; x += wide) {
        std::string tile(size_t(wide * high * pixel), '\0');
        for (uint32_t r = 0; r < std::min(high, height - y); ++r)
          tile.replace(r * wide * pixel, std::min(wide, width - x) * pixel,
                       reinterpret_cast<const char*>(bytes) + ((y + r) * width + x) * pixel,
                       std::min(wide, width - x) * pixel);
        TIFFWriteTile(tiff, tile.data(), x, y, 0, uint16_t(plane));
      }
  }
  TIFFWriteDirectory(tiff);
}

// `how` is TIFFOpen's mode: "w", "wb" (the highest byte first), "w8" (BigTIFF).
inline void write_tiff(const std::string& path, const std::vector<Page>& pages, const char* how = "w") {
  TIFF* tiff = TIFFOpen(path.c_str(), how);
  for (const Page& page : pages) write_page(tiff, page);
  TIFFClose(tiff);
}

}  // namespace saddle::test
