#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nifti/nifti1.h>
#include <nifti/nifti2.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include "data/pack/pack.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::HasSubstr;

using Place = std::array<int, 3>;  // right, anterior, superior

// A file to write: `value` of a place in the head, stored along any voxel axes.
struct Head {
  Place extents{4, 3, 2};
  std::function<double(Place)> value = [](Place p) { return p[0] + 10 * p[1] + 100 * p[2]; };
  std::array<int, 3> order{0, 1, 2};  // the anatomical axis of each voxel axis
  std::array<bool, 3> flipped{};      // each voxel axis runs the other way
  int type = DT_INT16;
  bool second = false, big_endian = false, quaternion = false;
  float slope = 0, inter = 0;
  int times = 1;
};

template <class T>
void append(std::string& out, T value, bool reverse) {
  std::string bytes(reinterpret_cast<const char*>(&value), sizeof value);
  if (reverse) std::reverse(bytes.begin(), bytes.end());
  out += bytes;
}

void append_value(std::string& out, double value, const Head& head) {
  switch (head.type) {
    case DT_UINT8:
      return append(out, uint8_t(value), false);
    case DT_INT8:
      return append(out, int8_t(value), false);
    case DT_INT16:
      return append(out, int16_t(value), head.big_endian);
    case DT_UINT16:
      return append(out, uint16_t(value), head.big_endian);
    case DT_INT32:
      return append(out, int32_t(value), head.big_endian);
    case DT_FLOAT32:
      return append(out, float(value), head.big_endian);
    default:
      return append(out, value, head.big_endian);
  }
}

template <class Header>
std::string header_of(const Head& head) {
  Header h;
  std::memset(&h, 0, sizeof h);
  const auto put = [&](auto& field, auto value) {
    using T = std::remove_reference_t<decltype(field)>;
    std::string bytes;
    append(bytes, T(value), head.big_endian);
    std::memcpy(&field, bytes.data(), sizeof(T));
  };
  put(h.sizeof_hdr, sizeof h);
  put(h.dim[0], head.times > 1 ? 4 : 3);
  for (int v = 0; v < 3; ++v) put(h.dim[v + 1], head.extents[size_t(head.order[size_t(v)])]);
  put(h.dim[4], head.times);
  put(h.datatype, head.type);
  put(h.vox_offset, sizeof h + 4);
  put(h.scl_slope, head.slope), put(h.scl_inter, head.inter);
  put(h.qform_code, head.quaternion), put(h.sform_code, !head.quaternion);
  put(h.quatern_d, 1);  // half a turn about the superior axis: right and anterior are flipped
  put(h.pixdim[0], 1);
  for (size_t v = 0; v < 3; ++v) {
    const double step = head.flipped[v] ? -2.0 : 2.0;
    put(std::array{&h.srow_x, &h.srow_y, &h.srow_z}[size_t(head.order[v])][0][v], step);
  }
  if constexpr (sizeof h == 348) std::memcpy(h.magic, "n+1", 4);
  if constexpr (sizeof h == 540) std::memcpy(h.magic, "n+2\0\r\n\032\n", 8);
  return std::string(reinterpret_cast<const char*>(&h), sizeof h) + std::string(4, '\0');
}

std::string nifti(const Head& head) {
  std::string out = head.second ? header_of<nifti_2_header>(head) : header_of<nifti_1_header>(head);
  std::array<int, 3> n;
  for (size_t v = 0; v < 3; ++v) n[v] = head.extents[size_t(head.order[v])];
  for (int t = 0; t < head.times; ++t)
    for (int k = 0; k < n[2]; ++k)
      for (int j = 0; j < n[1]; ++j)
        for (int i = 0; i < n[0]; ++i) {
          const std::array<int, 3> voxel{i, j, k};
          Place place;
          for (size_t v = 0; v < 3; ++v)
            place[size_t(head.order[v])] = head.flipped[v] ? n[v] - 1 - voxel[v] : voxel[v];
          append_value(out, head.value(place) + 1000 * t, head);
        }
  return out;
}

void put_gz(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), unsigned(bytes.size()));
  gzclose(file);
}

// A window of 0 to 65535 leaves values as they are.
PackRequest request_of(const std::string& source) {
  PackRequest out{.source = source};
  out.range = "0:65535";
  return out;
}

torch::Tensor sample_of(const Source& source, int64_t i, const std::string& field) {
  return source.sample(i)[field][0][0].to(torch::kInt);
}

// What Head's values are, upright: inferior first, anterior above, left to the left.
void expect_upright(const torch::Tensor& volume, const Head& head) {
  ASSERT_EQ(volume.sizes(), (std::vector<int64_t>{head.extents[2], head.extents[1], head.extents[0]}));
  for (int s = 0; s < head.extents[2]; ++s)
    for (int a = 0; a < head.extents[1]; ++a)
      for (int r = 0; r < head.extents[0]; ++r)
        ASSERT_EQ(volume[s][head.extents[1] - 1 - a][r].item<int>(), int(head.value({r, a, s})));
}

TEST(PackNifti, TurnsEveryOrientationUpright) {
  const Folder folder;
  Head head;
  do {
    for (int flips = 0; flips < 8; ++flips) {
      head.flipped = {(flips & 1) != 0, (flips & 2) != 0, (flips & 4) != 0};
      test::put(folder / "head.nii", nifti(head));
      SCOPED_TRACE(fmt::format("axes {}, flips {}", fmt::join(head.order, ""), flips));
      expect_upright(sample_of(open_source(request_of(folder / "head.nii")), 0, "volume"), head);
    }
  } while (std::next_permutation(head.order.begin(), head.order.end()));
}

TEST(PackNifti, FollowsTheQuaternionWhereThereIsNoMatrix) {
  const Folder folder;
  const Head head{.flipped = {true, true, false}, .quaternion = true};
  test::put(folder / "head.nii", nifti(head));
  expect_upright(sample_of(open_source(request_of(folder / "head.nii")), 0, "volume"), head);
}

TEST(PackNifti, ReadsEveryTypeVersionAndByteOrder) {
  const Folder folder;
  for (const int type : {DT_UINT8, DT_INT8, DT_INT16, DT_UINT16, DT_INT32, DT_FLOAT32, DT_FLOAT64})
    for (const bool second : {false, true})
      for (const bool big_endian : {false, true}) {
        const Head head{.value = [](Place p) { return p[0] + 4 * p[1] + 12 * p[2]; },
                        .type = type,
                        .second = second,
                        .big_endian = big_endian};
        SCOPED_TRACE(fmt::format("type {}, version {}, big endian {}", type, second ? 2 : 1, big_endian));
        put_gz(folder / "head.nii.gz", nifti(head));
        const Source source = open_source(request_of(folder / "head.nii.gz"));
        EXPECT_EQ(describe(source.schema), "volume uint16 [1, 2, 3, 4]");
        expect_upright(sample_of(source, 0, "volume"), head);
      }
}

TEST(PackNifti, WindowsIntensities) {
  const Folder folder;
  const Head head{.extents = {5, 1, 1},
                  .value =
                      [](Place p) {
                        return std::array{-10.0, 0.0, 25.0, 90.0, std::nan("")}[size_t(p[0])];
                      },
                  .type = DT_FLOAT32,
                  .slope = 2,
                  .inter = 20};
  test::put(folder / "head.nii", nifti(head));  // 0, 20, 70, 200, nan
  const auto values = [&](const char* range) {
    PackRequest request = request_of(folder / "head.nii");
    request.range = range;
    const auto all = sample_of(open_source(request), 0, "volume").flatten();
    return std::vector<int>(all.data_ptr<int>(), all.data_ptr<int>() + 5);
  };
  EXPECT_EQ(values(""), (std::vector<int>{0, 6554, 22937, 65535, 0}));
  EXPECT_EQ(values("20:120"), (std::vector<int>{0, 0, 32768, 65535, 0}));
  for (const char* wrong : {"3", "3:", "5:5", "9:1", "0:nan", "0:1x"})
    EXPECT_THAT(error_of([&] { values(wrong); }), HasSubstr("--range")) << wrong;
}

TEST(PackNifti, CutsSlicesUpright) {
  const Folder folder;
  const Head head;
  test::put(folder / "head.nii", nifti(head));
  PackRequest request = request_of(folder / "head.nii");
  const auto first_row = [&](const char* plane, int64_t slice) {
    request.slices = plane;
    return sample_of(open_source(request), slice, "image")[0];
  };
  EXPECT_TRUE(first_row("axial", 1).equal(torch::tensor({120, 121, 122, 123}, torch::kInt)));    // anterior
  EXPECT_TRUE(first_row("coronal", 0).equal(torch::tensor({120, 121, 122, 123}, torch::kInt)));  // superior
  EXPECT_TRUE(first_row("sagittal", 3).equal(torch::tensor({103, 113, 123}, torch::kInt)));  // anterior right
  const auto describe_cut = [&](const char* plane) {
    request.slices = plane;
    const Source source = open_source(request);
    EXPECT_TRUE(source.serial);
    return fmt::format("{} of {}", source.count, describe(source.schema));
  };
  EXPECT_EQ(describe_cut("axial"), "2 of image uint16 [1, 3, 4]");
  EXPECT_EQ(describe_cut("coronal"), "3 of image uint16 [1, 2, 4]");
  EXPECT_EQ(describe_cut("sagittal"), "4 of image uint16 [1, 2, 3]");
}

TEST(PackNifti, TilesVolumesByPatches) {
  const Folder folder;
  const Head head{.extents = {7, 4, 6}, .type = DT_INT32};
  test::put(folder / "head.nii", nifti(head));
  PackRequest request = request_of(folder / "head.nii");
  const torch::Tensor whole = sample_of(open_source(request), 0, "volume");
  request.patch = "2x4x3";
  const Source source = open_source(request);
  ASSERT_EQ(source.count, 3 * 1 * 2);
  EXPECT_NEAR(source.provenance["outside_patches"].get<double>(), 1.0 / 7, 1e-12);
  for (int64_t i = 0; i < source.count; ++i)
    EXPECT_TRUE(sample_of(source, i, "volume").equal(whole.narrow(0, i / 2 * 2, 2).narrow(2, i % 2 * 3, 3)));
  request.patch = "2";
  EXPECT_EQ(open_source(request).schema["volume"].shape, (std::vector<int64_t>{1, 2, 2, 2}));
  request.patch = "7x1x1";
  EXPECT_THAT(error_of([&] { open_source(request); }), HasSubstr("larger than every volume"));
}

TEST(PackNifti, NeverInventsLabels) {
  const Folder folder;
  const Head head{.extents = {9, 7, 3}};
  Head mask = head;
  mask.value = [](Place p) { return p[0] < 4 ? -7 : 3000; };
  mask.order = {2, 0, 1}, mask.type = DT_FLOAT32;  // stored in another way
  test::put(folder / "images/head.nii", nifti(head));
  put_gz(folder / "head.nii.gz", nifti(mask));
  PackRequest request = request_of(folder / "images");
  request.mask = folder.path(), request.slices = "axial", request.size = ImageSize{6, 20};
  const Source source = open_source(request);
  EXPECT_EQ(describe(source.schema), "image uint16 [1, 6, 20], mask int16 [1, 6, 20]");
  const torch::Tensor labels = sample_of(source, 1, "mask");
  EXPECT_EQ((labels == -7).sum().item<int>() + (labels == 3000).sum().item<int>(), 120);
  EXPECT_EQ(labels[0][0].item<int>(), -7);
  EXPECT_EQ(labels[5][19].item<int>(), 3000);
}

TEST(PackNifti, PacksALabelMapAlone) {
  const Folder folder;
  const Head head{.value = [](Place p) { return p[0] * 300; }};
  test::put(folder / "labels.nii", nifti(head));
  PackRequest request{.source = folder / "labels.nii"};
  request.mask = request.source;
  const Source source = open_source(request);
  EXPECT_EQ(describe(source.schema), "mask int16 [1, 2, 3, 4]");
  EXPECT_EQ(sample_of(source, 0, "mask")[0][0][3].item<int>(), 900);
  test::put(folder / "labels.nii", nifti({.value = [](Place) { return 0.5; }, .type = DT_FLOAT32}));
  EXPECT_THAT(error_of([&] { open_source(request).sample(0); }),
              AllOf(HasSubstr(folder / "labels.nii"), HasSubstr("0.5")));
}

TEST(PackNifti, PairsFoldersByName) {
  const Folder folder;
  for (int i = 0; i < 3; ++i) {
    const auto value = [i](Place) { return i; };
    test::put(folder / fmt::format("t1/{}.nii", i), nifti({.value = value}));
    put_gz(folder / fmt::format("{}.nii.gz", i), nifti({.value = [i](Place) { return i + 50; }}));
  }
  PackRequest request = request_of(folder / "t1");
  request.pair = folder.path();
  const Source source = open_source(request);
  EXPECT_EQ(describe(source.schema), "a uint16 [1, 2, 3, 4], b uint16 [1, 2, 3, 4]");
  EXPECT_FALSE(source.serial);
  for (const int64_t i : {2, 0, 1}) {
    EXPECT_EQ(sample_of(source, i, "a").max().item<int>(), i);
    EXPECT_EQ(sample_of(source, i, "b").max().item<int>(), i + 50);
  }
  put_gz(folder / "1.nii.gz", nifti({.extents = {4, 3, 3}}));
  EXPECT_THAT(error_of([&] { open_source(request); }), AllOf(HasSubstr("2x3x4"), HasSubstr("3x3x4")));
  std::filesystem::remove(folder / "1.nii.gz");
  EXPECT_THAT(error_of([&] { open_source(request); }), AllOf(HasSubstr("t1/1.nii"), HasSubstr("no partner")));
  request.skip_bad = true;
  EXPECT_EQ(open_source(request).count, 2);
}

TEST(PackNifti, TakesEveryTimeOfAScan) {
  const Folder folder;
  put_gz(folder / "a.nii.gz", nifti({.times = 3}));
  put_gz(folder / "b.nii.gz", nifti({.times = 2}));
  const Source source = open_source(request_of(folder.path()));
  ASSERT_EQ(source.count, 5);
  EXPECT_TRUE(source.serial);
  for (const auto& [i, time] :
       std::vector<std::pair<int64_t, int>>{{0, 0}, {1, 1}, {2, 2}, {3, 0}, {4, 1}, {1, 1}})
    EXPECT_EQ(sample_of(source, i, "volume").max().item<int>(), 123 + 1000 * time) << i;
}

TEST(PackNifti, WantsOneSize) {
  const Folder folder;
  test::put(folder / "a.nii", nifti({}));
  test::put(folder / "b.nii", nifti({.extents = {4, 4, 2}}));
  PackRequest request = request_of(folder.path());
  EXPECT_THAT(error_of([&] { open_source(request); }),
              AllOf(HasSubstr("a.nii gives 2x3x4"), HasSubstr("b.nii gives 2x4x4"), HasSubstr("--patch")));
  request.slices = "coronal";
  EXPECT_EQ(open_source(request).count, 7);
  request.slices = "axial";
  EXPECT_THAT(error_of([&] { open_source(request); }), HasSubstr("--size"));
  request.size = ImageSize{5, 5};
  EXPECT_EQ(describe(open_source(request).schema), "image uint16 [1, 5, 5]");
}

TEST(PackNifti, CountsWhatAVolumeTakesBeforeItIsUnpacked) {
  const Folder folder, out;
  const Head large{.extents = {100, 90, 80}, .value = [](Place) { return 1.0; }, .type = DT_UINT8};
  const Head small{.extents = {50, 45, 40}, .type = DT_UINT8};
  put_gz(folder / "a.nii.gz", nifti(large)), put_gz(folder / "b.nii.gz", nifti(small));
  PackRequest request{.source = folder.path(), .out = out / "x"};
  request.max_sample_mib = 2;  // floats of the large one take 2.75
  EXPECT_THAT(
      error_of([&] { pack(request); }),
      HasSubstr("a.nii.gz: expected at most 2 MiB in memory at a time, found volumes of 100x90x80 voxels, 3 "
                "MiB; if that is meant, pass --max-sample-mib 3"));
  request.skip_bad = true;
  EXPECT_EQ(pack(request).index.count, 1);
}

TEST(PackNifti, BelievesNoHeader) {
  const Folder folder;
  const std::string path = folder / "head.nii.gz", whole = nifti({});
  const auto error = [&](const std::string& bytes) {
    put_gz(path, bytes);
    return error_of([&] { open_source(request_of(path)).sample(0); });
  };
  std::string huge = whole;
  huge.replace(42, 6, "\xff\x7f\xff\x7f\xff\x7f", 6);
  EXPECT_THAT(error(huge), AllOf(HasSubstr(path), HasSubstr("32767x32767x32767")));
  EXPECT_THAT(error(whole.substr(0, 390)), HasSubstr("cut off"));
  EXPECT_THAT(error(whole.substr(0, 100)), HasSubstr("expected a NIfTI"));
  EXPECT_THAT(error("no volume"), HasSubstr("expected a NIfTI"));
  put_gz(path, whole);
  const std::string packed = read_file(path);
  test::put(path, packed.substr(0, packed.size() - 8) + "checksum");
  EXPECT_THAT(error_of([&] { open_source(request_of(path)).sample(0); }), HasSubstr("damaged"));
  for (size_t at = 0; at < 352; ++at)
    for (const char value : {'\0', '\1', '\x7f', '\xff'}) {  // an error or a sample, never a crash
      std::string bytes = whole;
      bytes[at] = value;
      test::put(folder / "any.nii", bytes);
      error_of([&] { open_source(request_of(folder / "any.nii")).sample(0); });
    }
}

}  // namespace
}  // namespace saddle
