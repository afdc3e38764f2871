//! Compressed twins of the dashboard's files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The extensions of the twins.
const TWINS: [&str; 2] = ["br", "gz"];

/// Writes `FILE.br` and `FILE.gz` beside each file below `folder`, where that is smaller; says the sums.
pub(crate) fn compress(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    walk(folder, &mut files).with_context(|| format!("cannot read {}: build it first", folder.display()))?;
    ensure!(!files.is_empty(), "{} is empty: build it first", folder.display());
    let (mut plain_sum, mut brotli_sum, mut gzip_sum) = (0, 0, 0);
    for file in files {
        let plain = fs::read(&file)?;
        let (brotli, gzip) = (brotli(&plain)?, gzip(&plain)?);
        plain_sum += plain.len();
        brotli_sum += brotli.len().min(plain.len());
        gzip_sum += gzip.len().min(plain.len());
        for (extension, packed) in TWINS.into_iter().zip([brotli, gzip]) {
            if packed.len() < plain.len() {
                let mut name = file.clone().into_os_string();
                name.push(format!(".{extension}"));
                fs::write(name, packed)?;
            }
        }
    }
    Ok(vec![format!("dashboard: {plain_sum} bytes, {gzip_sum} gzip, {brotli_sum} brotli")])
}

/// Files below `folder` that are no twins.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_twin = path.extension().is_some_and(|extension| TWINS.iter().any(|twin| extension == *twin));
        if path.is_dir() {
            walk(&path, files)?;
        } else if !is_twin {
            files.push(path);
        }
    }
    Ok(())
}

/// Best compression, no name, no time: the same bytes every time.
pub(crate) fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain)?;
    encoder.finish()
}

fn brotli(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    // Quality 11 of 11, the largest common window: this runs once per build.
    brotli::CompressorWriter::new(&mut packed, 4096, 11, 22).write_all(plain)?;
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_compressed_comes_back_whole() {
        let plain = b"warren ".repeat(1000);
        let mut unpacked = Vec::new();
        brotli::Decompressor::new(&brotli(&plain).unwrap()[..], 4096).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        unpacked.clear();
        flate2::read::GzDecoder::new(&gzip(&plain).unwrap()[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }
}
