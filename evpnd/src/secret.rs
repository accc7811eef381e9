//! Secrets, which stand in files of their own.
//!
//! **They are read as late as they are needed**, and judged by the very rules that `config check`
//! judges them by.

use evpn_config::{Config, SecretFile};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;

/// The first line of a file that nobody else may read.
///
/// # Errors
/// Whose it is, the file's name and what is wrong with it.
pub(crate) fn read(file: &SecretFile<'_>) -> Result<String, String> {
    let (whose, shown) = (&file.whose, file.path.display());
    let (mode, text) = found(file).map_err(|e| format!("{whose}: password-file {shown}: {e}"))?;
    let secret = file.secret(mode, &text).map_err(|e| format!("{whose}: password-file {e}"))?;
    Ok(secret.to_owned())
}

/// What is wrong with the files that a configuration names for secrets.
pub(crate) fn problems(config: &Config) -> Vec<String> {
    config.secret_files().iter().filter_map(|file| read(file).err()).collect()
}

fn found(file: &SecretFile<'_>) -> io::Result<(u32, String)> {
    let opened = File::open(file.path)?;
    let mode = opened.metadata()?.permissions().mode();
    Ok((mode, SecretFile::text(opened)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use evpn_config::{Source, load};
    use std::fs::{self, Permissions};
    use std::path::Path;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_secret_is_read_from_its_file_or_refused_with_whose_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let file = SecretFile::tcp_md5("neighbor x", &path);
        let missing = read(&file).unwrap_err();
        assert!(missing.starts_with("neighbor x: password-file /"), "{missing}");
        write(&path, "geheim\nmore\n", 0o640);
        assert_eq!(read(&file).as_deref(), Ok("geheim"));
        write(&path, "geheim\n", 0o644);
        assert!(read(&file).unwrap_err().contains("has mode 644"));
    }

    #[test]
    fn every_file_that_cannot_be_used_is_a_problem_of_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        write(&path("good"), "geheim\n", 0o600);
        write(&path("open"), "geheim\n", 0o644);
        write(&path("empty"), "", 0o600);
        let mut text = "[router]\nas = 65001\n".to_owned();
        for (place, name) in ["good", "open", "empty", "absent"].iter().enumerate() {
            text += &format!(
                "[[neighbor]]\naddress = \"10.0.0.{place}\"\nas = 65002\npassword-file = {:?}\n",
                path(name)
            );
        }
        let config = load(&[Source::new("evpnd.toml", text)]).unwrap().config;
        let problems = problems(&config);
        assert_eq!(problems.len(), 3, "{problems:?}");
        for (problem, said) in problems.iter().zip(["mode 644", "is empty", "No such file"]) {
            assert!(problem.contains(said), "{problem}");
        }
    }
}
