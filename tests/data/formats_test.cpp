// Pictures as people have them: of many formats, turned, remarked on by the libraries, damaged, misnamed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/pack/pack.h"
#include "data/view/exif.h"
#include "data/view/picture.h"
#include "tests/data/folder.h"
#include "tests/data/picture_files.h"

namespace saddle {
namespace {

using test::big_endian;
using test::error_of;
using test::exif_of;
using test::Folder;
using test::jpeg_of;
using test::little_endian;
using test::Page;
using test::png_chunk;
using test::riff;
using test::riff_chunk;
using test::webp_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

torch::Tensor noise(int64_t channels, int64_t height, int64_t width, torch::ScalarType dtype = torch::kByte) {
  const int64_t most = dtype == torch::kByte ? 256 : 65536;
  return torch::arange(channels * height * width)
      .mul(7919)
      .remainder(most)
      .reshape({channels, height, width})
      .to(dtype);
}

std::string damage(const std::string& bytes) {
  return error_of([&] { decode_picture("x", bytes); });
}

std::string inserted(std::string bytes, size_t at, const std::string& more) {
  return bytes.insert(at, more);
}

// TIFF ------------------------------------------------------------------------------------------------------

torch::Tensor through_tiff(const Page& page, const char* how = "w") {
  const Folder folder;
  test::write_tiff(folder / "a.tif", {page}, how);
  const std::string bytes = read_file(folder / "a.tif");
  const torch::Tensor out = decode_picture("a.tif", bytes);
  EXPECT_EQ(picture_info("a.tif", bytes).bits, out.scalar_type() == torch::kByte ? 8 : 16);
  return out;
}

void tile(TIFF* tiff) {
  TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 32);
  TIFFSetField(tiff, TIFFTAG_TILELENGTH, 16);
}

void apart(TIFF* tiff) {
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_SEPARATE);
}

TEST(Tiff, IsReadInStripsAndTilesOfEveryDepth) {
  for (const auto dtype : {torch::kByte, torch::kUInt16})
    for (int64_t channels : {1, 2, 3, 4})
      for (const char* how : {"w", "wb", "w8"})
        for (bool tiled : {false, true})
          for (bool planes : {false, true}) {
            const torch::Tensor picture = noise(channels, 21, 43, dtype);
            const auto tags = [&](TIFF* tiff) {
              if (tiled) tile(tiff);
              if (planes) apart(tiff);
              TIFFSetField(tiff, TIFFTAG_COMPRESSION, tiled ? COMPRESSION_ADOBE_DEFLATE : COMPRESSION_LZW);
            };
            EXPECT_TRUE(through_tiff({picture, tags}, how).equal(picture))
                << channels << how << tiled << planes;
          }
}

TEST(Tiff, ReadsInvertedGreyAndMultipliedColours) {
  const torch::Tensor grey = noise(1, 5, 6);
  const auto inverted = [](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE); };
  EXPECT_TRUE(through_tiff({grey, inverted}).equal(255 - grey));
  torch::Tensor clear = torch::full({4, 2, 2}, 100, torch::kByte);
  clear[3].fill_(200);
  const auto multiplied = [](TIFF* tiff) {
    const uint16_t kind = EXTRASAMPLE_ASSOCALPHA;
    TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &kind);
  };
  const torch::Tensor found = through_tiff({clear, multiplied});
  EXPECT_TRUE((found.narrow(0, 0, 3) == 127).all().item<bool>() && (found[3] == 200).all().item<bool>());
}

TEST(Tiff, RemarksOnTagsAreNoDamage) {
  const torch::Tensor picture = noise(3, 5, 6);
  const Folder folder;
  test::write_tiff(folder / "a.tif",
                   {{picture, [](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_ARTIST, "ab"); }}});
  std::string bytes = read_file(folder / "a.tif");
  const size_t tag = bytes.find(little_endian(TIFFTAG_ARTIST, 2) + little_endian(TIFF_ASCII, 2));
  ASSERT_NE(tag, std::string::npos);
  bytes.replace(tag, 2, little_endian(65000, 2));  // unknown, and out of order
  EXPECT_TRUE(decode_picture("a", bytes).equal(picture));
}

std::string refusal_of_tiff(const std::vector<Page>& pages) {
  const Folder folder;
  test::write_tiff(folder / "a.tif", pages);
  return damage(read_file(folder / "a.tif"));
}

TEST(Tiff, SaysWhatItDoesNotRead) {
  const torch::Tensor rgb = noise(3, 5, 6);
  const auto kind = [](uint32_t tag, int value) {
    return [=](TIFF* tiff) { TIFFSetField(tiff, tag, value); };
  };
  EXPECT_THAT(refusal_of_tiff({{rgb}, {rgb}, {rgb}}), AllOf(HasSubstr("3 pages"), HasSubstr("tiffsplit")));
  EXPECT_EQ(refusal_of_tiff({{rgb}, {noise(3, 2, 2), kind(TIFFTAG_SUBFILETYPE, FILETYPE_REDUCEDIMAGE)}}), "");
  EXPECT_THAT(refusal_of_tiff({{noise(4, 5, 6), kind(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_SEPARATED)}}),
              HasSubstr("CMYK"));
  EXPECT_THAT(
      refusal_of_tiff({{noise(1, 5, 6, torch::kUInt16), kind(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_INT)}}),
      HasSubstr("16 bit signed"));
  EXPECT_THAT(refusal_of_tiff({{torch::ones({1, 5, 6}), kind(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP)}}),
              HasSubstr("32 bit floating-point"));
  EXPECT_THAT(refusal_of_tiff({{noise(5, 5, 6),
                                [](TIFF* tiff) {
                                  const uint16_t none[] = {EXTRASAMPLE_UNSPECIFIED, EXTRASAMPLE_UNSPECIFIED};
                                  TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 2, none);
                                }}}),
              HasSubstr("5 samples a pixel"));
  EXPECT_THAT(refusal_of_tiff({{noise(4, 5, 6),
                                [](TIFF* tiff) {
                                  const uint16_t none = EXTRASAMPLE_UNSPECIFIED;
                                  TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &none);
                                }}}),
              HasSubstr("no stated meaning"));
}

// WebP ------------------------------------------------------------------------------------------------------

TEST(WebP, IsReadAndRefusedWhereItMovesOrEndsTooEarly) {
  const torch::Tensor picture = noise(3, 40, 50);
  const std::string bytes = webp_of(picture);
  EXPECT_TRUE(decode_picture("x", bytes).equal(picture));
  EXPECT_TRUE(decode_picture("x", bytes + "more").equal(picture));  // behind the picture
  const std::string about =
      riff_chunk("VP8X", little_endian(0, 4) + little_endian(49, 3) + little_endian(39, 3));
  EXPECT_TRUE(
      decode_picture("x", riff(about + riff_chunk("JUNK", "what") + bytes.substr(12))).equal(picture));
  EXPECT_THAT(damage(bytes.substr(0, bytes.size() / 2)), HasSubstr("damaged WebP: it ends too early"));
  const std::string moving = riff_chunk("VP8X", little_endian(2, 4) + little_endian(0, 6));
  EXPECT_THAT(damage(riff(moving + riff_chunk("ANIM", little_endian(0, 6)))), HasSubstr("animated WebP"));
}

// BMP -------------------------------------------------------------------------------------------------------

struct BmpFields {
  int width = 3, height = 2, bits = 24, coding = 0;
  std::string behind = "";  // masks or the palette
  std::string pixels = "";
  int used = 0;
};

std::string bmp_of(const BmpFields& f) {
  return "BM" + little_endian(0, 8) + little_endian(54 + f.behind.size(), 4) + little_endian(40, 4) +
         little_endian(uint64_t(f.width), 4) + little_endian(uint64_t(int64_t{f.height}), 4) +
         little_endian(1, 2) + little_endian(uint64_t(f.bits), 2) + little_endian(uint64_t(f.coding), 4) +
         little_endian(0, 12) + little_endian(uint64_t(f.used), 4) + little_endian(0, 4) + f.behind +
         f.pixels;
}

TEST(Bmp, IsReadFromEitherEndAndByItsMasks) {
  const std::string lower = "aaabbbccc" + std::string(3, '\0'), upper = "dddeeefff" + std::string(3, '\0');
  const torch::Tensor plain = decode_picture("x", bmp_of({.pixels = lower + upper}));
  EXPECT_EQ(plain.sizes(), (std::vector<int64_t>{3, 2, 3}));
  EXPECT_EQ(plain[0][0][0].item<int>(), 'd');
  EXPECT_EQ(plain[2][1][2].item<int>(), 'c');
  EXPECT_TRUE(decode_picture("x", bmp_of({.height = -2, .pixels = upper + lower})).equal(plain));
  const std::string masks = little_endian(0xf800, 4) + little_endian(0x7e0, 4) + little_endian(0x1f, 4);
  const torch::Tensor packed = decode_picture("x", bmp_of({.width = 2,
                                                           .height = 1,
                                                           .bits = 16,
                                                           .coding = 3,
                                                           .behind = masks,
                                                           .pixels = little_endian(0x001ff800, 4)}));
  EXPECT_TRUE(packed.flatten().equal(torch::tensor({255, 0, 0, 0, 0, 255}).to(torch::kByte)));
}

TEST(Bmp, GivesThePaletteAsColoursGreyOrIndices) {
  const std::string pixels = std::string("\x01\x20\0\0", 4) + std::string("\x21\x00\0\0", 4);  // of 4 bits
  const std::string colours =
      little_endian(0x102030, 4) + little_endian(0x405060, 4) + little_endian(0x708090, 4);
  const std::string file = bmp_of({.bits = 4, .behind = colours, .pixels = pixels, .used = 3});
  EXPECT_EQ(decode_picture("x", file)[0][1][2].item<int>(), 0x70);
  EXPECT_TRUE(decode_mask("x", file).flatten().equal(torch::tensor({2, 1, 0, 0, 1, 2}).to(torch::kByte)));
  const std::string greys = little_endian(0x505050, 4) + little_endian(0x202020, 4) + little_endian(0, 4);
  const torch::Tensor grey =
      decode_picture("x", bmp_of({.bits = 4, .behind = greys, .pixels = pixels, .used = 3}));
  EXPECT_TRUE(grey.flatten().equal(torch::tensor({0, 32, 80, 80, 32, 0}).to(torch::kByte)));
}

TEST(Bmp, IsRefusedWithTheReason) {
  const std::string whole(24, 'a');
  EXPECT_EQ(damage(bmp_of({.pixels = whole})), "");
  EXPECT_THAT(damage(bmp_of({.pixels = whole.substr(0, 12)})), HasSubstr("damaged BMP: it ends too early"));
  EXPECT_THAT(damage(bmp_of({.bits = 8, .coding = 1, .pixels = whole})), HasSubstr("compressed BMP"));
  EXPECT_THAT(damage(bmp_of({.bits = 8, .behind = std::string(8, 'a'), .pixels = whole, .used = 2})),
              HasSubstr("not in the palette"));
  EXPECT_THAT(damage(bmp_of({.width = 1 << 20, .height = 1 << 20, .pixels = whole})),
              HasSubstr("not decoded"));
  EXPECT_THAT(damage(bmp_of({.bits = 7, .pixels = whole})), HasSubstr("bits a pixel"));
  EXPECT_THROW(picture_info("x", bmp_of({.width = 0, .pixels = whole})), Error);
  EXPECT_THROW(picture_info("x", bmp_of({.height = 0, .pixels = whole})), Error);
}

// Remarks of the libraries ----------------------------------------------------------------------------------

TEST(Jpeg, RemarksThatLeaveThePixelsAloneAreNoDamage) {
  const torch::Tensor ramp = torch::arange(32).mul(8).to(torch::kByte).expand({3, 32, 32}).contiguous();
  const std::string intact = jpeg_of(ramp);
  const torch::Tensor expected = decode_picture("x", intact);
  std::string revision = intact, scan = intact;
  revision[11] = 9;                      // JFIF 9.01
  scan[scan.find("\xff\xda") + 12] = 0;  // the end of the spectrum, of a sequential picture
  constexpr size_t kWrapper = 18;        // JFIF's, which would decide on the colours
  std::string adobe = intact;
  adobe.replace(2, kWrapper,
                "\xff\xee" + big_endian(14, 2) + "Adobe" + big_endian(100, 2) + big_endian(0, 4) + "\x07");
  const std::string stuffed = inserted(intact, intact.find("\xff\xdb"), "stuffing");
  for (const std::string& bytes : {revision, scan, stuffed, adobe, intact + "a tail"})
    EXPECT_TRUE(decode_picture("x", bytes).equal(expected));
}

TEST(Jpeg, IsRefusedWithTheReasonInWords) {
  const std::string intact = jpeg_of(noise(3, 64, 64));
  const auto error = [&](auto change) {
    std::string bytes = intact;
    change(bytes);
    return damage(bytes);
  };
  EXPECT_THAT(error([](std::string& b) { b.resize(b.size() / 2); }),
              HasSubstr("x: damaged JPEG: Premature end"));
  EXPECT_THAT(error([](std::string& b) { b.erase(b.size() - 2000, 1990); }),
              AllOf(HasSubstr("x: damaged JPEG: premature end of data segment"), Not(HasSubstr("Corrupt"))));
  EXPECT_THAT(error([](std::string& b) {
                for (size_t k = 2000; k < 2100; ++k) b[b.size() - k] = k % 2 ? '\xff' : '\0';  // ones only
              }),
              HasSubstr("x: damaged JPEG: bad Huffman code"));
  EXPECT_THAT(error([](std::string& b) { b[b.find("\xff\xc0") + 4] = 12; }),
              AllOf(HasSubstr("not read"), HasSubstr("precision 12"), Not(HasSubstr("damaged"))));
}

TEST(Png, RemarksThatLeaveThePixelsAloneAreNoDamage) {
  const torch::Tensor picture = noise(4, 6, 7);
  const std::string intact = encode_png(picture);
  const size_t head = 8 + 25;
  std::string unsummed = png_chunk("tEXt", "a text");
  unsummed.back() ^= 1;
  for (const std::string& chunk :
       {png_chunk("iCCP", "no profile"), png_chunk("sRGB", "\x9") + png_chunk("sRGB", "\x9"), unsummed,
        png_chunk("gAMA", big_endian(0, 4)), png_chunk("eXIf", "nothing"), png_chunk("acTl", "unknown")})
    EXPECT_TRUE(decode_picture("x", inserted(intact, head, chunk)).equal(picture));
  std::string opacity = png_chunk("tRNS", std::string(6, '\0'));
  opacity.back() ^= 1;
  EXPECT_THAT(damage(inserted(encode_png(noise(3, 6, 7)), head, opacity)), HasSubstr("tRNS: CRC error"));
}

// Orientation -----------------------------------------------------------------------------------------------

TEST(Exif, TurnsPicturesUpright) {
  const torch::Tensor stored = torch::tensor({1, 2, 3, 4, 5, 6}).to(torch::kByte).reshape({1, 2, 3});
  const std::vector<std::vector<int>> expected{{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                               {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                               {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const auto dtype : {torch::kByte, torch::kUInt16}) {
      const torch::Tensor found = upright(stored.to(dtype), orientation);
      EXPECT_EQ(found.scalar_type(), dtype);
      EXPECT_EQ(found.size(1), orientation < 5 ? 2 : 3);
      EXPECT_TRUE(found.flatten()
                      .to(torch::kInt)
                      .equal(torch::tensor(expected[size_t(orientation - 1)], torch::kInt)))
          << orientation;
    }
}

TEST(Exif, SaysNothingWhereItIsDamaged) {
  EXPECT_EQ(exif_orientation(exif_of(6, true)), 6);
  EXPECT_EQ(exif_orientation(std::string("Exif\0\0", 6) + exif_of(7)), 7);
  for (int wrong : {0, 9, 65535}) EXPECT_EQ(exif_orientation(exif_of(wrong)), 1);
  for (size_t length = 0; length < 22; ++length) EXPECT_EQ(exif_orientation(exif_of(6).substr(0, length)), 1);
  std::string far = exif_of(6);
  far.replace(4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(exif_orientation(far), 1);
}

TEST(Exif, IsHeededInEveryFormatUnlessItIsToBeKept) {
  const torch::Tensor picture = noise(3, 120, 160);  // too many bytes for a head
  const std::string exif = exif_of(6), png = encode_png(picture);
  const Folder folder;
  test::write_tiff(folder / "a.tif",
                   {{picture, [](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_ORIENTATION, 6); }}});
  const std::vector<std::pair<std::string, std::string>> files{
      {"a.jpg", jpeg_of(picture, exif)},
      {"before.png", inserted(png, 8 + 25, png_chunk("eXIf", exif))},
      {"behind.png", inserted(png, png.size() - 12, png_chunk("eXIf", exif))},
      {"a.webp", webp_of(picture, exif)},
      {"a.tif", read_file(folder / "a.tif")}};
  for (const auto& [name, bytes] : files) {
    const torch::Tensor stored = decode_picture(name, bytes, Exif::keep),
                        turned = decode_picture(name, bytes);
    EXPECT_EQ(stored.size(1), 120) << name;
    EXPECT_TRUE(turned.equal(upright(stored, 6))) << name;
    EXPECT_EQ(picture_info(name, bytes), (PictureInfo{3, 160, 120, 8, 6})) << name;
    EXPECT_EQ(picture_info(name, bytes, Exif::keep), (PictureInfo{3, 120, 160, 8, 6})) << name;
  }
}

// Folders ---------------------------------------------------------------------------------------------------

TEST(PackPictures, OfEveryFormatWhateverTheyAreCalled) {
  const Folder folder;
  const torch::Tensor picture = torch::full({3, 12, 16}, 200, torch::kByte);
  test::write_tiff(folder / "4.tif", {{picture.to(torch::kInt).mul(257).to(torch::kUInt16)}});
  test::put(folder / "1.webp", webp_of(picture));
  test::put(folder / "2.PNG", jpeg_of(picture));  // so people rename them
  test::put(folder / "3.jpg", encode_png(picture));
  test::put(folder / "5.bmp",
            bmp_of({.width = 16, .height = 12, .pixels = std::string(16 * 12 * 3, char(200))}));
  test::put(folder / "6.jfif", jpeg_of(picture));
  const Source source = open_source({.source = folder.path()});
  ASSERT_EQ(source.count, 6);
  EXPECT_EQ(describe(source.schema), "image uint8 [3, 12, 16]");
  for (int64_t i = 0; i < source.count; ++i)
    EXPECT_LE((source.sample(i)["image"].to(torch::kInt) - 200).abs().max().item<int>(), 2) << i;
}

TEST(PackPictures, TurnThemAndTellPacksApart) {
  const Folder folder;
  const torch::Tensor picture = noise(3, 120, 160);
  test::put(folder / "a.jpg", jpeg_of(picture, exif_of(6)));
  test::put(folder / "b.webp", webp_of(picture, exif_of(8)));
  const Source turned = open_source({.source = folder.path()}),
               kept = open_source({.source = folder.path(), .exif = "keep"});
  EXPECT_EQ(turned.schema["image"].shape, (std::vector<int64_t>{3, 160, 120}));
  EXPECT_EQ(kept.schema["image"].shape, (std::vector<int64_t>{3, 120, 160}));
  EXPECT_THAT(turned.notes, testing::ElementsAre(HasSubstr("2 of 2 pictures are turned upright")));
  EXPECT_TRUE(kept.notes.empty());
  EXPECT_NE(turned.provenance["fit"]["exif"], kept.provenance["fit"]["exif"]);
  EXPECT_EQ(turned.sample(0)["image"].size(2), 160);
  test::put(folder / "c.png", encode_png(picture));
  EXPECT_THAT(error_of([&] { open_source({.source = folder.path()}); }),
              AllOf(HasSubstr("differ in size"), HasSubstr("120x160"), HasSubstr("160x120"),
                    HasSubstr("--exif keep")));
  EXPECT_THAT(error_of([&] { open_source({.source = folder.path(), .exif = "left"}); }), HasSubstr("--exif"));
}

TEST(PackPictures, OfAnotherSizeThanTheirHeadSaidAreRefused) {
  const Folder folder;
  const std::string png = encode_png(noise(3, 120, 160), 0);  // longer than a head
  test::put(folder / "a.png", png);
  test::put(folder / "b.png", inserted(png, png.size() - 12, png_chunk("eXIf", exif_of(6))));
  const Source source = open_source({.source = folder.path()});
  EXPECT_EQ(error_of([&] { source.sample(0); }), "");
  EXPECT_THAT(error_of([&] { source.sample(1); }), AllOf(HasSubstr("b.png"), HasSubstr("160x120")));
}

TEST(PackPictures, SayWhyNoneCanBeRead) {
  const Folder folder;
  const auto error = [&](const std::string& bytes) {
    test::put(folder / "a.png", bytes);
    return error_of([&] { open_source({.source = folder.path()}); });
  };
  EXPECT_THAT(error("GIF89a and so on"), AllOf(HasSubstr("none of 1"), HasSubstr("found a GIF")));
  EXPECT_THAT(error(""), HasSubstr("found an empty file"));
  EXPECT_THAT(error(big_endian(24, 4) + "ftypheic"), HasSubstr("HEIC"));
  EXPECT_THAT(error("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
  EXPECT_THAT(error("<!DOCTYPE html>"), HasSubstr("HTML"));
  EXPECT_THAT(error(std::string(100, '\0')), HasSubstr("zeros"));
  EXPECT_THAT(error(jpeg_of(noise(3, 8, 8)).substr(0, 100)), HasSubstr("damaged JPEG: Premature end"));
  const std::string whole = jpeg_of(noise(3, 64, 64));
  test::put(folder / "a.png", whole.substr(0, whole.size() / 2));  // damage behind a sound head
  const Folder out;
  EXPECT_THAT(error_of([&] { pack({.source = folder.path(), .out = out.path(), .skip_bad = true}); }),
              AllOf(HasSubstr("all of 1 samples"), HasSubstr("damaged JPEG: Premature end")));
}

TEST(Mask, Of16BitsKeepsItsNumbers) {
  const auto mask = [](int64_t a, int64_t b) {
    return encode_png(torch::tensor({a, b}).to(torch::kUInt16).reshape({1, 1, 2}));
  };
  EXPECT_EQ(decode_mask("x", mask(3, 20))[0][0][1].item<int>(), 20);
  EXPECT_EQ(decode_mask("x", mask(0, 65535))[0][0][1].item<int>(), 255);
  EXPECT_THAT(error_of([&] { decode_mask("x", mask(3, 700)); }),
              AllOf(HasSubstr("700"), HasSubstr("below 256")));
}

}  // namespace
}  // namespace saddle
