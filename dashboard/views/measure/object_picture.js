// An image with its objects, of which one can be clicked.

class ObjectPicture {
  constructor(root) {
    this.image = document.createElement("img");
    this.image.className = "objects";
    this.image.draggable = false;
    this.image.addEventListener("click", (event) => {
      const box = this.image.getBoundingClientRect();
      this.send({ x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height });
    });
    root.append(this.image);
  }

  update(data, send) {
    this.send = send;
    if (this.image.getAttribute("src") !== data.address) this.image.src = data.address;
    this.image.alt = data.alt;
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const click = (place) => setTriggerValue("clicked", place);
  return mount(parentElement, (root) => new ObjectPicture(root), (picture) => picture.update(data, click));
}
