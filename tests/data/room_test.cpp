// What a source may take in memory: none takes more because its files claim it, or become it when they are
// unpacked.
#include "data/pack/files/room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <functional>

#include "data/pack/load.h"
#include "data/pack/pack.h"
#include "data/view/picture.h"
#include "tests/data/archive.h"
#include "tests/data/folder.h"
#include "tests/data/picture_files.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kMiB = 1 << 20;

std::string png(int64_t side = 4) {
  return encode_png(torch::full({3, side, side}, 7, torch::kByte));
}

// A PNG of a few bytes whose header claims so many pixels of 8 bits.
std::string claiming_png(int64_t side) {
  std::string bytes = png();
  const std::string size = test::big_endian(uint64_t(side), 4);
  const std::string head = test::png_chunk("IHDR", size + size + bytes.substr(24, 5));
  return bytes.replace(8, head.size(), head);
}

std::string deflated(const std::string& bytes) {
  std::string out(compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
            bytes.size(), 9);
  return out.substr(0, size);
}

void put_gz(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), unsigned(bytes.size()));
  gzclose(file);
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& data) {
  const std::string head = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return "\x93NUMPY\x01" + std::string(1, '\0') + test::little_endian(head.size(), 2) + head + data;
}

// The largest memory, in MiB, that a process of its own takes to do it.
double peak(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  rusage used{};
  wait4(child, &status, 0, &used);
  EXPECT_EQ(status, 0);
  return double(used.ru_maxrss) / 1024;
}

PackRequest of(const std::string& source, int64_t mib = kMaxSampleMib) {
  PackRequest out{.source = source};
  out.max_sample_mib = mib;
  return out;
}

std::string refusal(const PackRequest& request) {
  return error_of([&] { open_source(request); });
}

TEST(Room, SaysWhatWasExpectedFoundAndWhatToDo) {
  EXPECT_EQ(lack_of_room("3x4 pixels", 5 * kMiB, 5 * kMiB), "");
  EXPECT_EQ(
      error_of([] { require_room("x.png", "9x9 pixels", 5.5 * kMiB, 5 * kMiB); }),
      "x.png: expected at most 5 MiB in memory at a time, found 9x9 pixels, 6 MiB; if that is meant, pass "
      "--max-sample-mib 6");
}

// --- Pictures ---

TEST(Room, AnEntryThatIsNoPictureIsKnownByItsFirstBytes) {
  const Folder folder;
  const std::string zip = folder / "x.zip";
  test::put_zip(zip, {{"a.png", png()}, {"bomb.png", std::string(300 * kMiB, '\0')}});
  const auto look = [&] {
    const auto files = open_files(zip, [](const std::string&) { return true; });
    const std::string error = error_of([&] { load_picture(*files, 1, Exif::upright, 512 * kMiB); });
    if (error.find("x.zip:bomb.png: expected a PNG") == std::string::npos) _exit(1);
    if (error_of([&] { info_of(*files, 1, Exif::upright, 512 * kMiB); }) != error) _exit(1);
  };
  EXPECT_LT(peak(look), peak([] {}) + 100);
}

TEST(Room, AnEntryIsNoLongerThanItsPictureNeeds) {
  const Folder folder;
  const std::string zip = folder / "x.zip";
  test::put_zip(zip, {{"a.png", png() + std::string(100 * kMiB, '\0')}, {"b.png", png() + "more"}});
  const auto files = open_files(zip, [](const std::string&) { return true; });
  for (const bool whole : {false, true})
    EXPECT_THAT(error_of([&] {
                  whole ? static_cast<void>(load_picture(*files, 0, Exif::upright, 512 * kMiB))
                        : static_cast<void>(info_of(*files, 0, Exif::upright, 512 * kMiB));
                }),
                HasSubstr("x.zip:a.png: expected at most 64 MiB for 4x4 pixels, found 100"));
  EXPECT_EQ(load_picture(*files, 1, Exif::upright, 512 * kMiB).size(1), 4);  // telephones append films
}

TEST(Room, AnEntryThatClaimsGibibytesIsRefused) {
  const Folder folder;
  std::string bytes;
  test::put_zip(folder / "x.zip", {{"a.png", png(100)}, {"b.png", png(101)}});
  bytes = read_file(folder / "x.zip");
  const std::string size = test::little_endian(png(101).size(), 4),
                    claim = test::little_endian(0xFFFFFFF0, 4);
  int changed = 0;
  for (size_t at = 0; (at = bytes.find(size, at)) != std::string::npos; ++changed)
    bytes.replace(at, 4, claim);
  ASSERT_GE(changed, 1);
  test::put(folder / "x.zip", bytes);
  PackRequest request = of(folder / "x.zip");
  request.out = folder / "out", request.size = ImageSize{4, 4};
  EXPECT_THAT(error_of([&] { pack(request); }), AllOf(HasSubstr("b.png"), HasSubstr("--skip-bad")));
  request.skip_bad = true;
  EXPECT_EQ(pack(request).index.count, 1);
}

TEST(Room, PixelsAreCountedBeforeTheyAreDecoded) {
  const Folder folder;
  test::put(folder / "in/a.png", claiming_png(20000));
  test::put(folder / "in/b.png", png());
  PackRequest request = of(folder / "in");
  request.out = folder / "out";
  const std::string expected =
      "a.png: expected at most 1024 MiB in memory at a time, found 20000x20000 pixels, 1145 MiB; if that is "
      "meant, pass --max-sample-mib 1145";
  EXPECT_THAT(error_of([&] { pack(request); }), HasSubstr(expected));
  request.skip_bad = true;
  const Packed packed = pack(request);
  EXPECT_EQ(packed.skipped, 1);
  EXPECT_EQ(packed.index.schema["image"].shape, (std::vector<int64_t>{3, 4, 4}));
  request.max_sample_mib = 2048, request.out = folder / "more", request.size = ImageSize{4, 4};
  EXPECT_EQ(pack(request).skipped, 1) << "it is damaged, too";
  test::put(folder / "masks/b.png", png()), test::put(folder / "masks/a.png", png());
  request = of(folder / "masks"), request.mask = folder / "in", request.out = folder / "masked";
  EXPECT_THAT(error_of([&] { pack(request); }), HasSubstr(expected));
}

TEST(Room, TilesOfATiffAreNoLargerThanItsPicture) {
  const Folder folder;
  test::write_tiff(folder / "a.tif",
                   {{.picture = torch::full({1, 3, 2}, 7, torch::kByte), .tags = [](TIFF* tiff) {
                       TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 16384);
                       TIFFSetField(tiff, TIFFTAG_TILELENGTH, 8192);
                       TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_DEFLATE);
                     }}});
  EXPECT_THAT(error_of([&] { decode_picture("a.tif", read_file(folder / "a.tif")); }),
              HasSubstr("a.tif: damaged TIFF: a tile of 8192x16384 pixels for a picture of 3x2"));
}

TEST(Room, ASampleThatIsAskedForHasTheSameLimit) {
  const Folder folder;
  test::put(folder / "in/a.png", png());
  PackRequest request = of(folder / "in");
  request.out = folder / "out", request.size = ImageSize{20000, 20000};
  EXPECT_THAT(error_of([&] { pack(request); }), AllOf(HasSubstr("samples of image uint8 [3, 20000, 20000]"),
                                                      HasSubstr("--max-sample-mib 1145")));
}

TEST(Room, ATableOfStyleGanIsNotReadIfItIsEndless) {
  const Folder folder;
  test::put_zip(folder / "x.zip", {{"a.png", png()}, {"dataset.json", std::string(3 * kMiB, ' ')}});
  EXPECT_THAT(refusal(of(folder / "x.zip", 2)), HasSubstr("dataset.json: expected at most 2 MiB in memory"));
}

// --- Arrays ---

TEST(Room, ItemsOfArraysAreCounted) {
  const Folder folder;
  test::put_zip(folder / "x.npz",
                {{"x.npy", npy("|u1", "(2, 3, 1000, 1000)", std::string(6'000'000, '\xff'))}});
  EXPECT_THAT(refusal(of(folder / "x.npz", 2)),
              HasSubstr("x.npy: expected at most 2 MiB in memory at a time, found "
                        "items of uint8 [2, 3, 1000, 1000], 3 MiB"));
  EXPECT_EQ(refusal(of(folder / "x.npz", 3)), "");
  const std::string images = std::string("\0\0\x08\x03", 4) + test::big_endian(2, 4) +
                             test::big_endian(2000, 4) + test::big_endian(1000, 4) +
                             std::string(4'000'000, '\1');
  put_gz(folder / "a-idx3.gz", images);
  EXPECT_THAT(refusal(of(folder / "a-idx3.gz", 1)), HasSubstr("a-idx3.gz: expected at most 1 MiB in memory"));
}

TEST(Room, LabelsAreCounted) {
  const Folder folder;
  const int64_t count = 300'000;
  const std::string extent = test::big_endian(count, 4);
  put_gz(folder / "train-images-idx3-ubyte.gz", std::string("\0\0\x08\x03", 4) + extent +
                                                    test::big_endian(1, 4) + test::big_endian(1, 4) +
                                                    std::string(count, '\xff'));
  put_gz(folder / "train-labels-idx1-ubyte.gz",
         std::string("\0\0\x08\x01", 4) + extent + std::string(count, '\1'));
  EXPECT_THAT(
      refusal(of(folder.path(), 1)),
      AllOf(HasSubstr("train-labels-idx1-ubyte.gz: expected at most 1 MiB"), HasSubstr("300000 labels")));
  EXPECT_EQ(refusal(of(folder.path(), 2)), "");
}

// Two bytes a sample in one chunk, which holds what is given.
void write_chunk(const std::string& path, hsize_t items, const std::string& packed,
                 const std::function<void(hid_t)>& filters) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t extents[2] = {items, 2}, origin[2] = {0, 0};
  const hid_t space = H5Screate_simple(2, extents, nullptr), how = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(how, 2, extents), filters(how);
  const hid_t set = H5Dcreate2(file, "x", H5T_NATIVE_UINT8, space, H5P_DEFAULT, how, H5P_DEFAULT);
  EXPECT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, origin, packed.size(), packed.data()), 0);
  H5Dclose(set), H5Pclose(how), H5Sclose(space), H5Fclose(file);
}

TEST(Room, AChunkOfHdf5UnpacksToNoMoreThanItIsOf) {
  const Folder folder;
  const auto deflate = [](hid_t how) { H5Pset_deflate(how, 9); };
  write_chunk(folder / "bomb.h5", 40'000, deflated(std::string(200 * kMiB, '\0')), deflate);
  write_chunk(folder / "good.h5", 50, deflated(std::string(100, '\7')), deflate);
  write_chunk(folder / "full.h5", kMiB / 2, deflated(std::string(size_t(kMiB), '\7')), deflate);
  const auto first = [&](const std::string& name, int64_t mib) {
    return error_of([&] { open_source(of(folder / name, mib)).sample(0); });
  };
  EXPECT_EQ(first("good.h5", 1), "");
  EXPECT_EQ(first("full.h5", 1), "");
  const std::string expected =
      "bomb.h5: x: damaged: expected chunks of 80000 bytes, found one that unpacks to more";
  EXPECT_THAT(first("bomb.h5", 100), HasSubstr(expected));
  EXPECT_LT(peak([&] { first("bomb.h5", 100); }), peak([] {}) + 60);
  write_chunk(folder / "large.h5", kMiB, deflated(std::string(size_t(2 * kMiB), '\7')), deflate);
  EXPECT_THAT(first("large.h5", 1), AllOf(HasSubstr("chunks of it, 2 MiB"), HasSubstr("--max-sample-mib 2")));
  const auto twice = [&](hid_t how) { deflate(how), deflate(how); };
  write_chunk(folder / "twice.h5", 50, deflated(deflated(std::string(100, '\7'))), twice);
  EXPECT_THAT(first("twice.h5", 1), HasSubstr("is packed by several filters"));
}

// --- What is read whole, or kept for every row ---

TEST(Room, ABatchOfCifarIsCounted) {
  const Folder folder;
  test::put(folder / "data_batch_1.bin", std::string(400 * 3073, '\1'));
  EXPECT_THAT(refusal(of(folder.path(), 1)), HasSubstr("data_batch_1.bin: expected at most 1 MiB in memory"));
  EXPECT_EQ(refusal(of(folder.path(), 2)), "");
}

TEST(Room, WhatTablesAndTextsKeepOfTheirRowsIsCounted) {
  const Folder folder;
  std::string rows = "x,label\n", words, attributes = "file,age\na,1\n";
  for (int i = 0; i < 300'000; ++i) rows += i % 2 ? "1,cat\n" : "2,dog\n";
  for (int i = 0; i < 30'000; ++i)
    words += fmt::format("w{} ", i) + (i % 100 ? "" : "\n"), attributes += fmt::format("b{},2\n", i);
  put_gz(folder / "a.csv.gz", rows), put_gz(folder / "a.txt.gz", words);
  EXPECT_THAT(refusal(of(folder / "a.csv.gz", 1)), HasSubstr("a.csv.gz: expected at most 1 MiB in memory"));
  EXPECT_EQ(refusal(of(folder / "a.csv.gz", 2)), "");
  PackRequest text = of(folder / "a.txt.gz", 1);
  text.tokens = "word", text.given["tokens"] = "word";
  EXPECT_THAT(refusal(text),
              AllOf(HasSubstr("a.txt.gz: expected at most 1 MiB"), HasSubstr("different tokens")));
  text.max_sample_mib = 8;
  EXPECT_EQ(refusal(text), "");
  test::put(folder / "in/a.png", png()), put_gz(folder / "a.gz", attributes);
  PackRequest table = of(folder / "in", 1);
  table.attributes = folder / "a.gz";
  EXPECT_THAT(refusal(table), AllOf(HasSubstr("a.gz: expected at most 1 MiB"), HasSubstr("rows")));
}

TEST(Room, NamesOfClassesAreNoFileOfGibibytes) {
  const Folder folder;
  test::put(folder / "in/cat/a.png", png()), test::put(folder / "names", "cat\n");
  std::filesystem::resize_file(folder / "names", 5'000 * kMiB);  // with a hole
  PackRequest request = of(folder / "in");
  request.classes = folder / "names";
  EXPECT_THAT(refusal(request), HasSubstr("expected the names of classes, at most 64 MiB, found 5000"));
}

TEST(Room, AFontOfTheWebIsUnpackedByOthers) {
  const Folder folder;
  test::put(folder / "a.ttf", "wOFF" + test::big_endian(0x10000, 4) + test::big_endian(44, 4) +
                                  test::big_endian(1 << 16, 4) + test::big_endian(0xFFFFFFF0, 4) +
                                  std::string(24, '\0'));
  EXPECT_THAT(refusal(of(folder / "a.ttf")), HasSubstr("found a packed one of the web; unpack it"));
}

}  // namespace
}  // namespace saddle
